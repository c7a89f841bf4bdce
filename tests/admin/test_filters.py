"""Query strings of the admin's lists and forms."""

import pytest


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
def test_undeclared_lookup_is_refused(staff, mailbox, credential, page, query):
    assert staff.open(page, **query).status_code == 400


@pytest.mark.parametrize(
    ("page", "query"),
    [
        ("mailbox_add", {"name": "\0", "account": "x"}),
        ("account_add", {"reseller": "x"}),
        ("emailrecipient_add", {"mailbox": "\0"}),
        ("apicredential_add", {"account": "9" * 24}),
        ("mailbox_changelist", {"q": "\0"}),
        ("mailbox_changelist", {"state": "nonsense", "weak": "nonsense"}),
        ("account_changelist", {"q": "a\0b"}),
    ],
)
def test_invalid_query_string_is_ignored(staff, page, query):
    assert staff.open(page, **query).status_code == 200


def test_account_autocomplete_ignores_null_characters(staff, account):
    field = {"app_label": "mailboxes", "model_name": "mailbox", "field_name": "account"}
    answer = staff.get("/admin/autocomplete/", field | {"term": "ac\0me"})
    assert [found["text"] for found in answer.json()["results"]] == ["acme"]


def test_credential_page_shows_no_hash(staff, credential):
    assert credential.secret_sha256 not in staff.open("apicredential_change", credential.pk).text
