"""Recipients in the admin."""

import pytest
from django.contrib.messages import get_messages

from mailboxes.models import EmailRecipient, Mailbox
from tests.admin.browser import DELETED, get_errors, read_log


@pytest.fixture
def recipient(mailbox):
    return mailbox.add_recipient("ann@example.com")


def test_recipient_is_added(staff, mailbox):
    staff.save("emailrecipient_add", mailbox=mailbox.pk, email="ann@example.com")
    assert mailbox.email_recipients.get().email == "ann@example.com"
    mailbox.refresh_from_db()
    assert mailbox.version == 2


def test_address_is_changed(staff, recipient):
    staff.save("emailrecipient_change", recipient.pk, email="Ann@example.com")
    recipient.refresh_from_db()
    assert recipient.email == "Ann@example.com"
    assert Mailbox.objects.get().version == 3
    assert recipient.history.latest().history_user.username == "ada"


def test_address_is_stored_without_a_name_and_with_its_domain_in_ascii(staff, mailbox):
    staff.save("emailrecipient_add", mailbox=mailbox.pk, email="Ann <ann@bücher.example>")
    assert mailbox.email_recipients.get().email == "ann@xn--bcher-kva.example"


def test_recipient_cannot_move_to_another_mailbox(staff, recipient, account):
    other = Mailbox.objects.create(account=account, name="Other")
    staff.save("emailrecipient_change", recipient.pk, mailbox=other.pk, email="bob@example.com")
    assert EmailRecipient.objects.get().mailbox.name == "Sales"


@pytest.mark.parametrize("email", ["ann", "", "ánn@example.com"])
def test_invalid_address_is_refused(staff, mailbox, email):
    page = staff.save("emailrecipient_add", mailbox=mailbox.pk, email=email)
    assert set(get_errors(page)) == {"email"}
    assert not EmailRecipient.objects.exists()


def test_missing_mailbox_is_refused(staff):
    assert set(get_errors(staff.save("emailrecipient_add", email="ann@example.com"))) == {"mailbox"}


def test_duplicate_address_is_refused_and_kept(staff, recipient):
    page = staff.save("emailrecipient_add", mailbox=recipient.mailbox_id, email="ANN@example.com")
    assert get_errors(page) == {"email": ["This mailbox already has that address."]}
    assert "ANN@example.com" in page.text


def test_change_to_a_duplicate_address_is_refused(staff, recipient):
    recipient.mailbox.add_recipient("bob@example.com")
    page = staff.save("emailrecipient_change", recipient.pk, email="bob@example.com")
    assert get_errors(page) == {"email": ["This mailbox already has that address."]}


def test_recipient_number_51_is_refused(staff, mailbox):
    for number in range(50):
        mailbox.add_recipient(f"{number}@example.com")
    page = staff.save("emailrecipient_add", mailbox=mailbox.pk, email="ann@example.com")
    assert get_errors(page) == {"__all__": ["A mailbox has at most 50 recipients."]}


def test_recipient_is_deleted(staff, recipient):
    staff.press("emailrecipient_delete", recipient.pk, post="yes")
    assert not EmailRecipient.objects.exists()
    assert Mailbox.objects.get().version == 3


def test_selected_recipients_are_deleted(staff, recipient):
    staff.run_action("emailrecipient_changelist", "delete_selected", recipient, post="yes")
    assert not EmailRecipient.objects.exists()
    assert Mailbox.objects.get().version == 3
    assert len(read_log()) == 1


def test_recipients_of_a_deleted_mailbox_cannot_be_changed(staff, recipient):
    recipient.mailbox.soft_delete()
    page = staff.save("emailrecipient_add", mailbox=recipient.mailbox_id, email="bob@example.com")
    assert get_errors(page) == {"mailbox": [DELETED]}
    data = {"email": "bob@example.com", "post": "yes"}
    for page in ("emailrecipient_change", "emailrecipient_delete"):
        assert DELETED in staff.get(staff.press(page, recipient.pk, **data).url).text
    page = staff.run_action("emailrecipient_changelist", "delete_selected", recipient, post="yes")
    assert [str(message) for message in get_messages(page.wsgi_request)] == [DELETED]
    assert EmailRecipient.objects.get().email == "ann@example.com"


def test_search_narrows_the_list(staff, recipient):
    for term in ("ann@", "sáles", "acme", "ann@ SALES"):
        page = staff.open("emailrecipient_changelist", q=term)
        assert "ann@example.com" in page.text
    assert "ann@example.com" not in staff.open("emailrecipient_changelist", q="bob").text
