"""Every word of the pages of messages comes from gettext, as in test_translation.py."""

import pytest
from django.contrib.auth.models import User

from mailboxes.console import message_filters
from mailboxes.console.views import message_list
from mailboxes.encryption import KeyRing
from mailboxes.history import DOWNLOADED, HEARD, READ, record_access
from mailboxes.message_changes import MessageChange, change_messages
from mailboxes.models import Account, ApiCredential, Batch, Mailbox, MailDelivery, Message
from tests.console.conftest import sign_in
from tests.console.test_translation import (
    _marked_lookups,  # noqa: F401  marks the results of lookups in this module too
    assert_translated,
    sign_in_with_digits,
)
from tests.messages import leave_message

pytestmark = pytest.mark.long


@pytest.fixture
def message(db):
    """Return a message of a mailbox that has messages in every state."""
    account = Account.objects.create(name="101")
    mailbox = Mailbox.objects.create(account=account, name="201")
    message = leave_message(mailbox, "601", text="602")
    leave_message(mailbox, text="603").mark_heard(True, User.objects.create_user("43"))
    for status in ("pending", "no_speech", "failed"):
        leave_message(mailbox, "604", transcription_status=status)
    for name in ("605", ""):
        leave_message(mailbox, name).soft_delete()
    gone = leave_message(mailbox)
    change_messages("delete", [gone.pk, message.pk], User.objects.get())
    change_messages("restore", [message.pk], User.objects.get())
    for kind in (HEARD, READ, DOWNLOADED):
        record_access(kind, [message], User.objects.get())
    return message


PAGES = [
    ("Viewer", "/mailboxes/{mailbox}/"),
    ("Viewer", "/mailboxes/{mailbox}/messages/"),
    ("Viewer", "/messages/"),
    ("Support", "/messages/?q=601"),
    *(
        ("Manager", page)
        for page in (
            "/mailboxes/{mailbox}/",
            "/messages/",
            "/messages/?page=2",
            "/messages/?q=60",
            "/messages/?q=999",
            "/messages/?q=999&state=deleted",
            "/messages/?state=deleted",
            "/messages/?mailbox={mailbox}&account=101&customers=on&heard=no&since=2001-01-01",
            "/messages/?since=2001-01-02&until=2001-01-01&zone=9&mailbox=999",
            "/messages/bulk/delete/?all=on&shown_at=2099-01-01T00:00:00Z",
            "/bulk/delete/?uuid={mailbox}",
            "/changes/{batch}/",
            "/mailboxes/{mailbox}/messages/{message}/?from=",
            "/messages/?mailbox=9&account=999&heard=9&since=9&until=9&state=9",
        )
    ),
]


@pytest.mark.parametrize(("group", "page"), PAGES)
def test_pages_are_translated(message, monkeypatch, settings, group, page):
    monkeypatch.setattr(message_list, "ROWS_PER_PAGE", 2)
    monkeypatch.setattr(message_filters, "MOST_SEARCHED", 2)
    settings.MESSAGES_PER_MAILBOX = 5
    values = {"mailbox": message.mailbox_id, "message": message.pk}
    page = page.format(batch=Batch.objects.last().pk, **values)
    assert_translated(sign_in_with_digits(group).get(page))


@pytest.mark.parametrize("page", ["/messages/", "/messages/?state=deleted"])
def test_empty_pages_are_translated(db, page):
    assert_translated(sign_in_with_digits("Viewer").get(page))


@pytest.mark.parametrize("action", ["hear", "unhear", "delete", "restore"])
@pytest.mark.parametrize("is_selected", [True, False])
def test_outcomes_are_translated(message, action, is_selected):
    browser = sign_in_with_digits("Support")
    form = {"action": action, "uuid": message.pk if is_selected else ""}
    assert_translated(browser.post("/messages/bulk/", form, follow=True))


def test_refused_changes_are_translated(message, settings, monkeypatch):
    browser = sign_in_with_digits("Support")
    change = MessageChange("hear", {message.pk: "another state"})
    assert_translated(browser.post("/messages/undo/", {"token": change.sign()}, follow=True))
    settings.MESSAGES_PER_MAILBOX = 1
    deleted = list(Message.objects.deleted().values_list("pk", flat=True))
    form = {"action": "restore", "uuid": deleted}
    assert_translated(browser.post("/messages/bulk/", form, follow=True))
    assert_translated(browser.post(f"/mailboxes/{message.mailbox_id}/delete/", follow=True))
    monkeypatch.setattr(message_list, "MOST_CHANGED", 1)
    assert_translated(browser.post("/messages/bulk/", form, follow=True))


# --- One message ------------------------------------------------------------------------


def get_address(message):
    return f"/mailboxes/{message.mailbox_id}/messages/{message.pk}/"


@pytest.mark.parametrize("sends_mail", [False, True])
def test_pages_of_mails_are_translated(message, settings, sends_mail):
    settings.SENDS_MAIL, mailbox = sends_mail, message.mailbox
    mailbox.add_recipient("50@6.example")
    for state in MailDelivery.State:
        email = "50@6.example" if state == "failed" else f"{state}@6.example"
        MailDelivery.objects.create(message=message, mailbox=mailbox, email=email, state=state)
    browser = sign_in_with_digits("Manager")
    for page in (get_address(message), f"{get_address(message)}mail/", f"/mailboxes/{mailbox.pk}/"):
        assert_translated(browser.get(page))
    settings.SENDS_MAIL = True
    ApiCredential.objects.issue(mailbox.account, "31", is_engine=True, sends_mail=True)
    assert_translated(browser.get(f"/mailboxes/{mailbox.pk}/"))


@pytest.mark.parametrize("group", ["Viewer", "Support", "Manager"])
def test_pages_of_messages_are_translated(message, settings, group):
    browser = sign_in_with_digits(group)
    for row in Message.objects.all():
        assert_translated(browser.get(get_address(row)))
        if group == "Manager":
            assert_translated(browser.get(f"{get_address(row)}mail/"))
    assert_translated(browser.get(f"/mailboxes/{message.mailbox_id}/history/"))
    settings.PASS_CODE_KEYS = KeyRing([bytes(32)])
    assert_translated(browser.get(get_address(message)))
    message.mailbox.soft_delete()
    assert_translated(browser.get(get_address(message)))


def test_refusals_about_a_message_are_translated(message):
    viewer, address = sign_in_with_digits("Viewer"), get_address(message)
    for path in ("hear/", "delete/"):
        assert_translated(viewer.post(address + path), 403)
    assert_translated(viewer.get(f"{address}recording/"), 403)
    superuser = sign_in(User.objects.create_superuser("45"))
    for seen in ("unheard", "heard", "deleted"):
        for action in ("hear", "delete", "restore", "unhear"):
            form = {"seen": seen}
            assert_translated(superuser.post(f"{address}{action}/", form, follow=True))
    message.mailbox.soft_delete()
    support = sign_in(User.objects.create_superuser("44"))
    assert_translated(support.post(f"{address}hear/", follow=True))
