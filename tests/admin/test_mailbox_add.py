"""The admin's form for a new mailbox."""

from uuid import uuid4

import pytest

from mailboxes.models import EmailRecipient, Mailbox
from tests.admin.browser import get_errors


@pytest.fixture
def add_mailbox(staff, account):
    """Return a function that saves the form for a new mailbox and returns the response."""

    def save(**changes):
        return staff.save("mailbox_add", **{"account": account.pk, "name": "Sales"} | changes)

    return save


def test_mailbox_is_added_with_defaults(add_mailbox, account):
    assert add_mailbox().status_code == 302
    mailbox = Mailbox.objects.get()
    assert (mailbox.account, mailbox.name, mailbox.password) == (account, "Sales", None)
    assert (mailbox.beep, mailbox.transcribe, mailbox.version) == (True, False, 1)


def test_all_fields_are_saved(add_mailbox):
    greeting = uuid4()
    add_mailbox(name="  Sales  ", password="0007", greeting=greeting, transcribe="on")
    mailbox = Mailbox.objects.get()
    assert (mailbox.name, mailbox.password, mailbox.greeting) == ("Sales", "0007", greeting)
    assert (mailbox.password_is_weak, mailbox.transcribe) == (False, True)


def test_recipient_is_saved(add_mailbox):
    add_mailbox(**{"email_recipients-0-email": "ann@example.com"})
    assert Mailbox.objects.get().email_recipients.get().email == "ann@example.com"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", "Sa\x07les"),
        ("password", "123"),
        ("password", "••••"),
        ("greeting", "hello"),
        ("account", "0"),
    ],
)
def test_invalid_value_is_refused_and_kept(add_mailbox, field, value):
    page = add_mailbox(**{field: value})
    assert set(get_errors(page)) == {field}
    assert page.context["adminform"].form[field].value() == value
    assert not Mailbox.objects.exists()


@pytest.mark.parametrize("second", ["ann@example.com", "ANN@Example.com"])
def test_duplicate_address_is_refused(add_mailbox, second):
    page = add_mailbox(
        **{
            "email_recipients-TOTAL_FORMS": 2,
            "email_recipients-0-email": "ann@example.com",
            "email_recipients-1-email": second,
        }
    )
    formset = page.context["inline_admin_formsets"][0].formset
    assert formset.errors == [{}, {"email": ["This address is listed twice."]}]
    assert second in page.text
    assert not EmailRecipient.objects.exists()


def test_recipient_number_51_is_refused(add_mailbox):
    addresses = {f"email_recipients-{n}-email": f"{n}@example.com" for n in range(51)}
    page = add_mailbox(**{"email_recipients-TOTAL_FORMS": 51} | addresses)
    assert "A mailbox has at most 50 recipients." in page.text
    assert not Mailbox.objects.exists()
