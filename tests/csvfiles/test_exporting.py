"""Exported files: their rows and pass codes, and that they can be imported unchanged."""

import csv
import gc
import io

from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from mailboxes import batches
from mailboxes.csvfiles import importing
from mailboxes.csvfiles.rows import escape_formula
from mailboxes.models import Account, EmailRecipient, Mailbox
from tests.csvfiles.files import check_file, count_outcomes, export_file, read_file
from tests.csvfiles.test_rows import TRICKY
from tests.service import shows

PRINTABLE = st.characters(exclude_categories=["Cc", "Cs"])


def test_row_has_every_setting_and_recipient_of_the_mailbox(rosa, sales):
    assert read_file(export_file(pass_codes_for=rosa)) == [
        {
            "uuid": str(sales.pk),
            "state": "active",
            "account": "acme",
            "name": "Sales",
            "password": "'0830",
            "greeting": "",
            "beep": "no",
            "play_caller_id": "no",
            "play_timestamp": "no",
            "transcribe": "no",
            "recipients": "pete@acme.example; mary@acme.example",
        }
    ]


def test_pass_codes_are_left_out_by_default(sales):
    assert "password" not in read_file(export_file())[0]
    assert not shows(export_file().decode(), "0830")
    assert not LogEntry.objects.exists()


def test_exported_pass_codes_are_recorded(rosa, sales):
    Mailbox.objects.create(account=sales.account, name="Without")
    export_file(pass_codes_for=rosa)
    entry = LogEntry.objects.get()
    assert (entry.user, entry.object_id) == (rosa, str(sales.pk))
    assert entry.get_change_message() == "Pass code exported."


def test_pass_code_under_a_lost_key_is_masked_and_kept(rosa, sales, settings):
    other = type(settings.PASS_CODE_KEYS)([b"x" * 32])
    Mailbox.objects.update(password_sealed=other.encrypt("0830", sales.pk.bytes))
    data = export_file(pass_codes_for=rosa)
    assert read_file(data)[0]["password"] == "••••"
    assert count_outcomes(check_file(rosa, data))["unchanged"] == 1


def test_export_makes_few_queries(sales, django_assert_num_queries):
    for number in range(batches.CHUNK_SIZE):
        Mailbox.objects.create(account=sales.account, name=f"Desk {number}")
    with django_assert_num_queries(1):
        export_file()


def test_export_leaves_little_to_the_garbage_collector(sales):
    """Every other thread waits while it collects."""
    for number in range(100):
        mailbox = Mailbox.objects.create(account=sales.account, name=f"Desk {number}")
        mailbox.add_recipient("ann@acme.example")
    del mailbox
    gc.collect()
    gc.disable()
    try:
        export_file()
        assert gc.collect() < 100
    finally:
        gc.enable()


class TestNames(TestCase):
    @given(st.lists(st.text(st.one_of(TRICKY, PRINTABLE), min_size=1, max_size=100), min_size=1))
    def test_random_name_is_imported_as_it_was_exported(self, names):
        account = Account.objects.create(name="acme")
        rosa = User.objects.create_user("rosa")
        Mailbox.objects.bulk_create(Mailbox(account=account, name=name) for name in names)
        for delimiter in ",;":
            data = export_file(delimiter=delimiter)
            assert {row["name"] for row in read_file(data, delimiter)} == set(
                map(escape_formula, names)
            )
            assert count_outcomes(check_file(rosa, data))["unchanged"] == len(names)


def test_exported_file_changes_no_mailbox(rosa, sales):
    Mailbox.objects.create(account=sales.account, name="Gone").soft_delete()
    Mailbox.objects.create(account=sales.account, name=" kept blanks ", greeting=sales.pk)
    EmailRecipient.objects.create(mailbox=sales, email='"a;b, c"@acme.example')
    for options in ({}, {"delimiter": ";"}):
        source = check_file(rosa, export_file(**options))
        assert count_outcomes(source) == {"wrong": 0, "changed": 0, "created": 0, "unchanged": 3}


# Cells as LibreOffice 7.4 saves them if it takes them for numbers, and Excel for dates.
REWRITTEN = {"1.10": "1.1", "1E5": "100000", "2-3": "03-Feb", "1/2": "01/02/2026", "007.5": "7.5"}


def save_in_spreadsheet(data: bytes) -> bytes:
    rows = csv.reader(io.StringIO(data.decode(), newline=""))
    saved = io.StringIO(newline="")
    writer = csv.writer(saved, lineterminator="\n")
    writer.writerows([REWRITTEN.get(cell, cell) for cell in row] for row in rows)
    return saved.getvalue().encode()


def test_names_like_numbers_survive_a_spreadsheet(rosa, account):
    for name in REWRITTEN:
        Mailbox.objects.create(account=account, name=name)
    source = check_file(rosa, save_in_spreadsheet(export_file()))
    assert count_outcomes(source) == {"wrong": 0, "changed": 0, "created": 0, "unchanged": 5}


def test_exported_pass_codes_are_set_again(rosa, sales):
    Mailbox.objects.create(account=sales.account, name="Without")
    source = check_file(rosa, export_file(pass_codes_for=rosa))
    assert count_outcomes(source) == {"wrong": 0, "changed": 1, "created": 0, "unchanged": 1}
    importing.write_import(source, rosa)
    assert (Mailbox.objects.get(pk=sales.pk).password, sales.password) == ("0830", "0830")


def test_exported_file_fills_an_empty_service(rosa, sales):
    EmailRecipient.objects.create(mailbox=sales, email='"a;b,c"@acme.example')
    data = export_file(pass_codes_for=rosa)
    Mailbox.objects.all().delete()
    importing.write_import(check_file(rosa, data), rosa)
    assert export_file(pass_codes_for=rosa) == data
    assert Mailbox.objects.get().password == "0830"


def test_line_ends_and_byte_order_mark_change_nothing(rosa, sales):
    data = export_file()
    for same in (data, data.removeprefix(b"\xef\xbb\xbf"), data.replace(b"\r\n", b"\n")):
        assert count_outcomes(check_file(rosa, same))["unchanged"] == 1
