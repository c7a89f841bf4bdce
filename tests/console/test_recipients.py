"""Recipients added and removed in place."""

from uuid import uuid4

import pytest

from mailboxes.models import EmailRecipient, Mailbox
from tests.console.conftest import messages, state, undo_address


def add(browser, mailbox, email):
    return browser.post(f"/mailboxes/{mailbox.pk}/recipients/", {"email": email}, follow=True)


def remove(browser, mailbox, uuid):
    return browser.post(f"/mailboxes/{mailbox.pk}/recipients/{uuid}/remove/", follow=True)


def test_adds_and_undoes(support, sales):
    response = add(support, sales, "bob@acme.example")
    assert messages(response) == ["Added: bob@acme.example."]
    assert state(sales)["recipients"] == ["ann@acme.example", "bob@acme.example"]
    row = EmailRecipient.history.filter(email="bob@acme.example").get()
    assert row.history_user == support.user
    assert Mailbox.objects.get().version == sales.version + 1
    support.post(undo_address(response))
    assert state(sales)["recipients"] == ["ann@acme.example"]


def test_removes_and_undoes(support, sales):
    ann = EmailRecipient.objects.get()
    response = remove(support, sales, ann.pk)
    assert messages(response) == ["Removed: ann@acme.example."]
    assert state(sales)["recipients"] == []
    support.post(undo_address(response))
    assert EmailRecipient.objects.get() == ann


def test_removing_twice_changes_nothing_more(support, sales):
    ann = EmailRecipient.objects.get()
    remove(support, sales, ann.pk)
    assert messages(remove(support, sales, ann.pk)) == []


def test_another_mailboxs_recipient_stays(support, sales, stranger):
    other = Mailbox.objects.create(account=stranger, name="Other")
    theirs = other.add_recipient("eve@stranger.example")
    remove(support, sales, theirs.pk)
    assert EmailRecipient.objects.filter(pk=theirs.pk).exists()


@pytest.mark.parametrize(
    ("email", "error"),
    [
        ("", "This field is required."),
        ("ann", "Enter a valid email address."),
        ("ANN@acme.example", "This mailbox already has that address."),
        ("ann@äcme.example", "Use an address in ASCII"),
        ("a\x00@acme.example", "Null characters are not allowed."),
        ("a" * 250 + "@acme.example", "at most 254 characters"),
    ],
)
def test_a_wrong_address_is_said_and_kept(support, sales, email, error):
    response = add(support, sales, email)
    form = response.context["recipient_form"]
    assert any(error in said for said in form.errors["email"])
    assert form["email"].value() == email
    assert state(sales)["recipients"] == ["ann@acme.example"]


def test_one_too_many_is_refused(support, sales):
    for number in range(49):
        sales.add_recipient(f"{number}@acme.example")
    response = add(support, sales, "bob@acme.example")
    assert "A mailbox has at most 50 recipients." in response.content.decode()
    assert EmailRecipient.objects.count() == 50


def test_deleted_mailboxs_stay(support, sales):
    ann = EmailRecipient.objects.get()
    sales.soft_delete()
    assert add(support, sales, "bob@acme.example").status_code == 403
    assert remove(support, sales, ann.pk).status_code == 403
    assert state(sales)["recipients"] == ["ann@acme.example"]


def test_what_is_not_there(support):
    assert (
        support.post(f"/mailboxes/{uuid4()}/recipients/", {"email": "a@b.example"}).status_code
        == 404
    )
