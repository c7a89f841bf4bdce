"""Delete and restore mailboxes in the admin."""

import pytest
from django.contrib.messages import get_messages

from mailboxes.models import EmailRecipient, Mailbox
from tests.admin.browser import DELETED, get_address, read_log


@pytest.fixture(autouse=True)
def recipient(mailbox):
    return mailbox.add_recipient("ann@example.com")


def assert_deletion_is_explained(staff, answer):
    assert DELETED in staff.get(answer.url).text


def test_deletion_marks_the_mailbox_and_keeps_its_data(staff, mailbox):
    staff.press("mailbox_delete", mailbox.pk, post="yes")
    mailbox.refresh_from_db()
    assert mailbox.is_deleted
    assert mailbox.password == "0007"
    assert EmailRecipient.objects.exists()


def test_deletion_is_recorded_in_history_and_admin_log(staff, mailbox):
    staff.press("mailbox_delete", mailbox.pk, post="yes")
    latest = mailbox.history.latest()
    assert latest.deleted_at
    assert latest.history_user.username == "ada"
    assert len(read_log()) == 1


def test_confirmation_page_names_only_the_mailbox(staff, mailbox):
    page = staff.open("mailbox_delete", mailbox.pk)
    assert "Delete Sales, of acme?" in page.text
    assert "ann@example.com" not in page.text
    assert not Mailbox.objects.get().is_deleted


def test_bulk_deletion_is_confirmed_first(staff, mailbox):
    page = staff.run_action("mailbox_changelist", "delete_selected", mailbox)
    assert "Sales, of acme" in page.text
    assert "ann@example.com" not in page.text
    assert not Mailbox.objects.get().is_deleted


def test_selected_mailboxes_are_deleted(staff, mailbox, account):
    other = Mailbox.objects.create(account=account, name="Other")
    staff.run_action("mailbox_changelist", "delete_selected", mailbox, other, post="yes")
    assert not Mailbox.objects.active().exists()
    assert [mailbox.version for mailbox in Mailbox.objects.all()] == [3, 2]
    assert len(read_log()) == 2


def test_deleted_mailbox_cannot_be_deleted_again(staff, mailbox):
    mailbox.soft_delete()
    assert_deletion_is_explained(staff, staff.press("mailbox_delete", mailbox.pk, post="yes"))
    page = staff.open("mailbox_change", mailbox.pk)
    assert get_address("mailbox_delete", mailbox.pk) not in page.text


def test_deleted_mailbox_can_only_be_viewed_and_restored(staff, mailbox):
    mailbox.soft_delete()
    page = staff.open("mailbox_change", mailbox.pk)
    assert "Restore" in page.text
    assert 'name="_save"' not in page.text
    for button in ("mailbox_change", "mailbox_pass_code"):
        assert_deletion_is_explained(staff, staff.press(button, mailbox.pk, name="Changed"))
    staff.run_action("mailbox_changelist", "restore", mailbox, query="?state=deleted")
    assert Mailbox.objects.active().get().name == "Sales"


def test_transcription_of_a_deleted_mailbox_is_not_turned_on(staff, mailbox):
    mailbox.soft_delete()
    page = staff.run_action(
        "mailbox_changelist", "turn_transcription_on", mailbox, query="?state=all"
    )
    assert [str(message) for message in get_messages(page.wsgi_request)] == [DELETED]
    assert not Mailbox.objects.get().transcribe


def test_restoring_an_active_mailbox_shows_nothing_to_do(staff, mailbox):
    page = staff.run_action("mailbox_changelist", "restore", mailbox)
    texts = [str(message) for message in get_messages(page.wsgi_request)]
    assert texts == ["Nothing to do: no selected row needs this change."]
