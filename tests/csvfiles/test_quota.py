"""The quota of an account's active mailboxes, in imports."""

import pytest

from mailboxes.csvfiles import importing, reports
from mailboxes.models import Mailbox
from tests.csvfiles.files import check_file, count_outcomes

FULL = "The account “acme” can have at most 3 active mailboxes. Ask your administrator for more (MAX_MAILBOXES_PER_ACCOUNT)."


@pytest.fixture(autouse=True)
def quota(settings):
    settings.MAX_MAILBOXES_PER_ACCOUNT = 3


def new_rows(count):
    return ("account,name\n" + "acme,New\n" * count).encode()


def test_check_names_each_row_above_the_quota(rosa, sales, monkeypatch):
    monkeypatch.setattr(importing, "CHECKED_ROWS", 2)  # rows of several chunks count together
    source = check_file(rosa, new_rows(5))
    assert count_outcomes(source) == {"created": 2, "changed": 0, "unchanged": 0, "wrong": 3}
    errors = list(reports.list_errors(source.rows.filter(outcome="wrong")))
    assert [tuple(error) for error in errors] == [
        (number, "account", "acme", FULL) for number in (4, 5, 6)
    ]


def test_existing_mailboxes_of_a_full_account_can_be_changed(rosa, sales, settings):
    settings.MAX_MAILBOXES_PER_ACCOUNT = 1
    source = check_file(rosa, f"uuid,name\n{sales.pk},Support\n".encode())
    importing.write_import(source, rosa)
    assert Mailbox.objects.get().name == "Support"


def test_account_that_became_full_after_the_check_stops_the_import(rosa, sales):
    source = check_file(rosa, new_rows(2))
    Mailbox.objects.create(account=sales.account, name="Meanwhile")
    with pytest.raises(importing.NotReadyError):
        importing.write_import(source, rosa)
    assert Mailbox.objects.count() == 2
    importing.check_rows(source, seconds=600)
    assert count_outcomes(source) == {"created": 1, "changed": 0, "unchanged": 0, "wrong": 1}


def test_file_that_fills_the_account_is_written(rosa, sales):
    importing.write_import(check_file(rosa, new_rows(2)), rosa)
    assert sales.account.mailboxes.active().count() == 3
