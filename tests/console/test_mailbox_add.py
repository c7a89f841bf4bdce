"""The form for a new mailbox."""

import pytest

from mailboxes.models import Mailbox
from mailboxes.validators import is_pass_code
from tests.console.conftest import get_undo_address, list_messages, read_values

NEW = "/mailboxes/new/"
TYPED = {"account": "acme", "name": "Sales", "beep": "on"}


def test_mailbox_with_recipients_is_created_and_undone(support, account):
    recipients = "ann@acme.example\nbob@acme.example"
    typed = TYPED | {"password": "7392", "transcribe": "on", "recipients": recipients}
    response = support.post(NEW, typed, follow=True)
    assert list_messages(response) == ["Created: “Sales”."]
    mailbox = account.mailboxes.get()
    assert response.redirect_chain[-1][0] == f"/mailboxes/{mailbox.pk}/"
    values = read_values(mailbox)
    assert (values["password"], values["transcribe"], values["play_timestamp"]) == (
        "7392",
        True,
        False,
    )
    assert values["recipients"] == ["ann@acme.example", "bob@acme.example"]
    assert mailbox.history.get().history_user == support.user
    support.post(get_undo_address(response))
    assert account.mailboxes.get().is_deleted


def test_query_string_fills_in_the_account(support, account):
    assert 'value="acme"' in support.get(f"{NEW}?account=acme").content.decode()


def test_suggested_pass_code_is_not_saved(support, account):
    form = support.post(f"{NEW}pass-code/suggest/", TYPED).context["form"]
    assert is_pass_code(form["password"].value())
    assert form["name"].value() == "Sales"
    assert not Mailbox.objects.exists()


def test_page_warns_of_a_weak_pass_code(support, account):
    typed = TYPED | {"password": "1111"}
    page = support.post(f"{NEW}pass-code/check/", typed).content.decode()
    assert "This pass code is easy to guess" in page
    assert not Mailbox.objects.exists()


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("account", "nobody", "There is no account “nobody”"),
        ("account", "", "This field is required."),
        ("name", "", "This field is required."),
        ("password", "12", "Use four digits"),
        ("greeting", "x", "has no greeting “x”"),
        ("recipients", "ann@acme.example, bob", "“bob”: Enter a valid email address."),
        ("recipients", " ".join(f"{n}@a.example" for n in range(51)), "at most 50 recipients"),
    ],
)
def test_invalid_value_is_explained_and_kept(support, account, field, value, error):
    form = support.post(NEW, TYPED | {field: value}).context["form"]
    assert error in form.errors[field][0]
    assert form[field].value() == value
    assert not Mailbox.objects.exists()


@pytest.mark.parametrize("button", ["suggest", "check"])
def test_get_request_leads_back_to_the_form(support, button):
    assert support.get(f"{NEW}pass-code/{button}/").headers["Location"] == NEW


def test_viewer_sees_no_link_to_the_form(viewer, account):
    assert NEW not in viewer.get("/").content.decode()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("button", ["suggest", "check"])
def test_pass_code_buttons_keep_what_was_typed(account, support, button):
    """The form locks the account, for which PostgreSQL needs a transaction."""
    typed = {"account": "acme", "name": "Sales", "password": "8305"}
    page = support.post(f"/mailboxes/new/pass-code/{button}/", typed)
    assert page.status_code == 200
    assert page.context["form"]["name"].value() == "Sales"
    assert not Mailbox.objects.exists()
