"""What an address may ask of a list, and what it may not."""

import pytest

from tests.admin.browser import staff_who_may


@pytest.mark.parametrize(
    ("page", "query"),
    [
        ("mailbox_changelist", {"password_sealed__startswith": "0"}),
        ("mailbox_changelist", {"name__regex": "("}),
        ("mailbox_changelist", {"created_at__year": "99999"}),
        ("mailbox_changelist", {"account__credentials__secret_sha256__startswith": "0"}),
        ("apicredential_changelist", {"secret_sha256__startswith": "0"}),
        ("account_changelist", {"credentials__secret_sha256__startswith": "0"}),
        ("emailrecipient_changelist", {"mailbox__password_sealed__startswith": "0"}),
    ],
)
def test_only_the_lists_own_filters_are_asked(staff, mailbox, credential, page, query):
    assert staff.open(page, **query).status_code == 400


@pytest.mark.parametrize(
    "query",
    [
        {"transcribe__exact": "1"},
        {"state": "all"},
        {"weak": "yes", "pass_code": "no", "recipients": "yes", "greeting": "no"},
        {"state": "nonsense", "weak": "nonsense"},
    ],
)
def test_its_own_filters_are(staff, mailbox, query):
    assert staff.open("mailbox_changelist", **query).status_code == 200


@pytest.mark.parametrize(
    ("page", "query"),
    [
        ("mailbox_add", {"name": "\0", "account": "x"}),
        ("account_add", {"reseller": "x"}),
        ("emailrecipient_add", {"mailbox": "\0"}),
        ("apicredential_add", {"account": "9" * 24}),
        ("mailbox_changelist", {"q": "\0"}),
        ("account_changelist", {"q": "a\0b"}),
    ],
)
def test_nonsense_in_an_address_breaks_no_page(staff, page, query):
    assert staff.open(page, **query).status_code == 200


def test_nor_the_picker_of_accounts(staff, account):
    where = {"app_label": "mailboxes", "model_name": "mailbox", "field_name": "account"}
    answer = staff.get("/admin/autocomplete/", where | {"term": "ac\0me"})
    assert [found["text"] for found in answer.json()["results"]] == ["acme"]


def test_who_may_look_at_credentials_learns_no_hash(credential):
    bob = staff_who_may("view_apicredential")
    assert credential.secret_sha256 not in bob.open("apicredential_change", credential.pk).text
