"""The admin's form, if somebody else changes the mailbox while its page is open."""

import re

import pytest

from mailboxes.models import EmailRecipient, Mailbox
from tests.admin.browser import get_errors, get_form_values, read_log
from tests.conftest import headers_for
from tests.console.pages import get_text
from tests.service import InProcess


@pytest.fixture
def recipient(mailbox):
    return mailbox.add_recipient("ann@example.com")


@pytest.fixture
def api(account):
    return InProcess(headers_for(account, "sync"))


@pytest.fixture
def typed(staff, mailbox, recipient):
    """Open the mailbox's form before others change the mailbox, and return its values."""
    return get_form_values(staff.open("mailbox_change", mailbox.pk))


def list_addresses(mailbox):
    return [recipient.email for recipient in mailbox.email_recipients.all()]


def list_recipient_errors(page):
    return page.context["inline_admin_formsets"][0].formset.non_form_errors()


def test_change_by_the_api_is_not_overwritten(staff, mailbox, typed, api):
    api.patch(f"/voip/mailbox/{mailbox.pk}", {"name": "Theirs", "beep": False})
    page = staff.press("mailbox_change", mailbox.pk, **typed | {"transcribe": "on"})
    text = get_text(page)
    assert get_errors(page)["__all__"] == [
        "Nothing is saved yet: somebody else has changed this mailbox."
    ]
    assert "sync of acme, through the API, saved changes" in text
    assert "Name Sales Theirs not changed" in text
    assert "Transcribe off off on" in text
    again = get_form_values(page)
    assert (again["name"], "beep" in again, again["transcribe"]) == ("Theirs", False, True)
    assert Mailbox.objects.get().transcribe is False
    assert staff.press("mailbox_change", mailbox.pk, **again).status_code == 302
    saved = Mailbox.objects.get()
    assert (saved.name, saved.beep, saved.transcribe) == ("Theirs", False, True)
    assert saved.password == "0007"
    assert read_log() == ["Changed Transcribe."]


def test_keep_theirs_loads_the_page_anew(staff, mailbox, typed, api):
    api.patch(f"/voip/mailbox/{mailbox.pk}", {"name": "Theirs"})
    page = staff.press("mailbox_change", mailbox.pk, **typed | {"name": "Mine"})
    [address] = re.findall(r'href="([^"]+)">Keep theirs</a>', page.text)
    values = get_form_values(staff.get(address))
    assert values["name"] == "Theirs"
    staff.press("mailbox_change", mailbox.pk, **values)
    assert Mailbox.objects.get().name == "Theirs"


def test_second_change_meanwhile_is_a_conflict_too(staff, mailbox, typed, api):
    for name in ("First", "Second"):
        api.patch(f"/voip/mailbox/{mailbox.pk}", {"name": name})
        page = staff.press("mailbox_change", mailbox.pk, **typed | {"name": "Mine"})
        assert set(get_errors(page)) == {"__all__"}
        typed = get_form_values(page)
    assert Mailbox.objects.get().name == "Second"
    staff.press("mailbox_change", mailbox.pk, **typed)
    assert Mailbox.objects.get().name == "Mine"


def test_recipient_added_meanwhile_is_no_conflict(staff, mailbox, typed, api):
    api.post(f"/voip/mailbox/{mailbox.pk}/email-recipient", {"email": "bob@example.com"})
    staff.press("mailbox_change", mailbox.pk, **typed | {"name": "Mine"})
    assert Mailbox.objects.get().name == "Mine"
    assert list_addresses(mailbox) == ["ann@example.com", "bob@example.com"]
    assert read_log() == ["Changed Name."]


def test_recipient_removed_meanwhile_is_named_and_the_next_save_works(
    staff, mailbox, recipient, typed
):
    mailbox.add_recipient("cy@example.com")
    recipient.delete()
    changes = {"name": "Mine", "email_recipients-1-email": "bob@example.com"}
    page = staff.press("mailbox_change", mailbox.pk, **typed | changes)
    [error] = list_recipient_errors(page)
    assert error.startswith("Somebody else has removed “ann@example.com” since you opened")
    assert list_addresses(mailbox) == ["cy@example.com"]
    assert staff.press("mailbox_change", mailbox.pk, **get_form_values(page)).status_code == 302
    assert Mailbox.objects.get().name == "Mine"
    assert list_addresses(mailbox) == ["cy@example.com", "bob@example.com"]


def test_recipient_removed_by_both_is_no_error(staff, mailbox, recipient, typed):
    recipient.delete()
    typed["email_recipients-0-DELETE"] = "on"
    assert staff.press("mailbox_change", mailbox.pk, **typed).status_code == 302
    assert EmailRecipient.history.filter(history_type="-").count() == 1


def test_removed_recipient_can_be_added_again(staff, mailbox, recipient, typed):
    recipient.delete()
    page = staff.press("mailbox_change", mailbox.pk, **typed)
    again = get_form_values(page) | {"email_recipients-0-email": "ann@example.com"}
    staff.press("mailbox_change", mailbox.pk, **again)
    assert list_addresses(mailbox) == ["ann@example.com"]
