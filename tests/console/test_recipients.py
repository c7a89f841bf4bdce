"""Add and remove recipients on the mailbox page."""

from uuid import uuid4

import pytest

from mailboxes.models import EmailRecipient, Mailbox
from tests.console.conftest import DELETED, get_undo_address, list_messages, read_values


def add_recipient(browser, mailbox, email):
    return browser.post(f"/mailboxes/{mailbox.pk}/recipients/", {"email": email}, follow=True)


def remove_recipient(browser, mailbox, uuid):
    return browser.post(f"/mailboxes/{mailbox.pk}/recipients/{uuid}/remove/", follow=True)


def test_recipient_is_added_and_undone(support, sales):
    response = add_recipient(support, sales, "bob@acme.example")
    assert list_messages(response) == ["Added: bob@acme.example."]
    assert read_values(sales)["recipients"] == ["ann@acme.example", "bob@acme.example"]
    row = EmailRecipient.history.filter(email="bob@acme.example").get()
    assert row.history_user == support.user
    assert Mailbox.objects.get().version == sales.version + 1
    support.post(get_undo_address(response))
    assert read_values(sales)["recipients"] == ["ann@acme.example"]


def test_recipient_is_removed_and_undone(support, sales):
    ann = EmailRecipient.objects.get()
    response = remove_recipient(support, sales, ann.pk)
    assert list_messages(response) == ["Removed: ann@acme.example."]
    assert read_values(sales)["recipients"] == []
    support.post(get_undo_address(response))
    assert EmailRecipient.objects.get() == ann


def test_second_removal_of_a_recipient_changes_nothing(support, sales):
    ann = EmailRecipient.objects.get()
    remove_recipient(support, sales, ann.pk)
    assert list_messages(remove_recipient(support, sales, ann.pk)) == []


def test_recipient_of_another_mailbox_is_not_removed(support, sales, stranger):
    other = Mailbox.objects.create(account=stranger, name="Other")
    theirs = other.add_recipient("eve@stranger.example")
    remove_recipient(support, sales, theirs.pk)
    assert EmailRecipient.objects.filter(pk=theirs.pk).exists()


@pytest.mark.parametrize("separator", [", ", ";", " ", "\n", "\r\n"])
def test_several_addresses_are_added_in_order_and_undone(support, sales, separator):
    pasted = separator.join(["bob@acme.example", '"Smith, Eve" <eve@acme.example>', "al@b.example"])
    response = add_recipient(support, sales, pasted)
    added = ["bob@acme.example", "eve@acme.example", "al@b.example"]
    assert list_messages(response) == [f"Added: {', '.join(added)}."]
    assert read_values(sales)["recipients"] == ["ann@acme.example", *added]
    support.post(get_undo_address(response))
    assert read_values(sales)["recipients"] == ["ann@acme.example"]


def test_address_that_is_there_does_not_prevent_the_others(support, sales):
    response = add_recipient(support, sales, "bob@acme.example ANN@acme.example eve@acme.example")
    assert list_messages(response) == [
        "Added: bob@acme.example, eve@acme.example.",
        "This mailbox already had: ANN@acme.example.",
    ]
    added = ["bob@acme.example", "eve@acme.example"]
    assert read_values(sales)["recipients"] == ["ann@acme.example", *added]
    support.post(get_undo_address(response))
    assert read_values(sales)["recipients"] == ["ann@acme.example"]


def test_addresses_that_are_all_there_are_refused(support, sales):
    sales.add_recipient("bob@acme.example")
    response = add_recipient(support, sales, "bob@acme.example ann@acme.example")
    assert response.context["recipient_form"].errors["email"] == [
        "“bob@acme.example”: This mailbox already has that address.",
        "“ann@acme.example”: This mailbox already has that address.",
    ]
    assert list_messages(response) == []


def test_addresses_that_are_there_do_not_count_towards_the_limit(support, sales):
    for number in range(48):
        sales.add_recipient(f"{number}@acme.example")
    add_recipient(support, sales, "0@acme.example 1@acme.example bob@acme.example")
    assert EmailRecipient.objects.count() == 50


def test_wrong_address_among_several_is_named_and_prevents_all(support, sales):
    response = add_recipient(support, sales, "eve@acme.example bob")
    (error,) = response.context["recipient_form"].errors["email"]
    assert error.startswith("“bob”: ")
    assert read_values(sales)["recipients"] == ["ann@acme.example"]


@pytest.mark.parametrize("email", ["Bob <bob@bücher.example>", "bob@BÜCHER.example"])
def test_address_is_stored_without_a_name_and_with_its_domain_in_ascii(support, sales, email):
    response = add_recipient(support, sales, email)
    assert list_messages(response) == ["Added: bob@xn--bcher-kva.example."]
    assert read_values(sales)["recipients"] == ["ann@acme.example", "bob@xn--bcher-kva.example"]


@pytest.mark.parametrize(
    ("email", "error"),
    [
        ("", "This field is required."),
        ("ann", "Enter a valid email address."),
        ("ANN@acme.example", "This mailbox already has that address."),
        ("ann@straße.example", "Use an address in ASCII"),
        ("a\x00@acme.example", "“a@acme.example”: Enter a valid email address."),
        ("a" * 250 + "@acme.example", "at most 254 characters"),
    ],
)
def test_invalid_address_is_explained_and_kept(support, sales, email, error):
    response = add_recipient(support, sales, email)
    form = response.context["recipient_form"]
    assert any(error in message for message in form.errors["email"])
    assert form["email"].value() == email
    assert read_values(sales)["recipients"] == ["ann@acme.example"]


def test_recipient_number_51_is_refused(support, sales):
    for number in range(49):
        sales.add_recipient(f"{number}@acme.example")
    response = add_recipient(support, sales, "bob@acme.example")
    assert "A mailbox has at most 50 recipients." in response.content.decode()
    assert EmailRecipient.objects.count() == 50


def test_recipients_of_a_deleted_mailbox_cannot_be_changed(support, sales):
    ann = EmailRecipient.objects.get()
    sales.soft_delete()
    assert list_messages(add_recipient(support, sales, "bob@acme.example")) == [DELETED]
    assert list_messages(remove_recipient(support, sales, ann.pk)) == [DELETED]
    assert read_values(sales)["recipients"] == ["ann@acme.example"]


def test_unknown_mailbox_is_not_found(support):
    assert (
        support.post(f"/mailboxes/{uuid4()}/recipients/", {"email": "a@b.example"}).status_code
        == 404
    )
