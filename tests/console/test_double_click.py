"""Forms that are sent twice, as by a double click without JavaScript."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from threading import Barrier

import pytest
from django.contrib.auth.models import User
from django.db import connections

from mailboxes.models import Account, ApiCredential, Batch, EmailRecipient, Mailbox
from tests.console.conftest import get_undo_address, list_messages, sign_in, sign_in_member_of
from tests.console.pages import get_errors, read_log
from tests.messages import leave_message

NEW = "/mailboxes/new/"
TYPED = {"account": "acme", "name": "Sales", "recipients": "ann@acme.example"}
ACCOUNT = "/accounts/-/new/"
ISSUE = "/accounts/acme/credentials/new/"


def fill_in(browser, page, typed):
    """Open the page, and return its form as a browser sends it."""
    token = browser.get(page).context["csrf_token"]
    return typed | {"csrfmiddlewaretoken": str(token)}


def press_twice(browser, page, typed, address=None):
    form = fill_in(browser, page, typed)
    return [browser.post(address or page, form, follow=True) for _time in range(2)]


def test_mailbox_is_created_once_for_each_page(support, account):
    first, second = press_twice(support, NEW, TYPED)
    assert list_messages(first) == list_messages(second) == ["Created: “Sales”."]
    assert first.redirect_chain == second.redirect_chain
    assert (Mailbox.objects.count(), EmailRecipient.objects.count()) == (1, 1)
    press_twice(support, NEW, TYPED)
    assert Mailbox.objects.count() == 2


def test_page_sent_again_with_other_values_creates_another_mailbox(support, account):
    form = fill_in(support, NEW, TYPED)
    for name in ("Sales", "Support"):
        support.post(NEW, form | {"name": name})
    assert Mailbox.objects.count() == 2


def test_last_mailbox_that_the_account_may_have_is_created_once(support, account, settings):
    settings.MAX_MAILBOXES_PER_ACCOUNT = 1
    assert list_messages(press_twice(support, NEW, TYPED)[1]) == ["Created: “Sales”."]


def test_account_is_created_once(manager, account):
    for response in press_twice(manager, ACCOUNT, {"name": "zeta", "reseller": "acme"}):
        assert list_messages(response) == ["Account zeta was created."]
    Account.objects.update(created_at=account.created_at - timedelta(hours=1))
    response = press_twice(manager, ACCOUNT, {"name": "zeta", "reseller": "acme"})[1]
    assert set(get_errors(response)) == {"name"}


def test_credential_is_issued_once_and_its_secret_shown_for_a_minute(manager, account):
    form = fill_in(manager, ISSUE, {"name": "pbx"})
    first, second = (manager.post(ISSUE, form).context["secret"] for _time in range(2))
    assert first == second
    assert ApiCredential.objects.authenticate(second, "acme", "pbx")
    assert read_log() == [("manager", "acme: pbx", "Added.")]
    ApiCredential.objects.update(created_at=account.created_at - timedelta(minutes=2))
    assert set(get_errors(manager.post(ISSUE, form))) == {"name"}


def test_login_of_staff_is_created_once(manager):
    for response in press_twice(manager, "/staff/new/", {"username": "rosa", "groups": "Support"}):
        assert "/sign-in/password/" in response.content.decode()
    assert User.objects.filter(username="rosa").count() == 1


def test_login_that_another_manager_has_just_created_gives_no_link(manager):
    """The history would not say that the other one has a link."""
    typed = {"username": "rosa", "groups": "Support"}
    manager.post("/staff/new/", fill_in(manager, "/staff/new/", typed))
    hugo = User.objects.create_user("hugo", is_staff=True)
    hugo.groups.set(manager.user.groups.all())
    other = sign_in(hugo)
    answer = other.post("/staff/new/", fill_in(other, "/staff/new/", typed))
    assert "link" not in answer.context
    assert set(get_errors(answer)) == {"username"}


@pytest.mark.parametrize(
    ("action", "typed", "done"),
    [
        ("recipients/", {"email": "bob@acme.example"}, "Added: bob@acme.example."),
        ("", {"name": "Support", "version": "2", "password": "7392"}, "Saved: “Support”."),
        ("delete/", {}, "Deleted: “Sales”."),
    ],
)
def test_action_on_a_mailbox_is_done_and_undone_once(support, sales, action, typed, done):
    page = f"/mailboxes/{sales.pk}/"
    responses = press_twice(support, page, typed, page + action)
    assert [list_messages(response) for response in responses] == [[done], [done]]
    assert Mailbox.objects.get().version == sales.version + 1


@pytest.mark.parametrize("change", ["bulk/delete/?", "bulk/change/?to-password=new&"])
def test_many_mailboxes_are_changed_once(support, sales, change):
    page = f"/{change}uuid={sales.pk}"
    digest = support.get(page).context["selection"].digest
    first, second = press_twice(support, page, {"digest": digest})
    assert list_messages(first) == list_messages(second)
    assert first.redirect_chain == second.redirect_chain
    assert Mailbox.objects.get().version == sales.version + 1


def test_form_sent_again_after_an_undo_has_its_effect(support, sales):
    page = f"/mailboxes/{sales.pk}/"
    form = fill_in(support, page, {})
    support.post(f"{page}delete/", form)
    support.post(f"{page}restore/")
    support.post(f"{page}delete/", form)
    assert Mailbox.objects.get().is_deleted


@pytest.mark.django_db(transaction=True)
def test_two_clicks_at_once_create_one_row():
    acme = Account.objects.create(name="acme")
    browser = sign_in_member_of("Manager")
    desk = Mailbox.objects.create(account=acme, name="Desk")
    delete = f"/bulk/delete/?uuid={desk.pk}"
    digest = browser.get(delete).context["selection"].digest
    forms = {NEW: TYPED, ACCOUNT: {"name": "zeta"}, ISSUE: {"name": "pbx"}}
    forms[delete] = {"digest": digest}
    for page, typed in forms.items():
        form = fill_in(browser, page, typed)
        start = Barrier(2)

        def press(page=page, form=form, start=start):
            start.wait()
            try:
                return browser.post(page, form).status_code
            finally:
                connections.close_all()

        with ThreadPoolExecutor() as pool:
            presses = [pool.submit(press) for _time in range(2)]
        assert {press.result() for press in presses} == {200 if page == ISSUE else 302}
    rows = Mailbox.objects.active(), Account.objects.all(), ApiCredential.objects.all()
    assert [found.count() for found in rows] == [1, 2, 1]
    assert Batch.objects.count() == 2


@pytest.mark.parametrize("several", [True, False], ids=["several", "one"])
def test_messages_are_deleted_once(support, message, several):
    page = f"/mailboxes/{message.mailbox_id}/messages/{message.pk}/"
    address, typed = f"{page}delete/", {"seen": "unheard"}
    if several:
        other = leave_message(message.mailbox)
        page = address = f"/messages/bulk/delete/?uuid={message.pk}&uuid={other.pk}"
        typed = {"digest": support.get(page).context["digest"]}
    first, second = press_twice(support, page, typed, address)
    done = ["2 messages were deleted." if several else "1 message was deleted."]
    assert list_messages(first) == list_messages(second) == done
    assert get_undo_address(first) == get_undo_address(second)
    assert Batch.objects.count() == 1
