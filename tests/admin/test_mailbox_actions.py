"""Actions on the mailboxes selected in the admin's list."""

import pytest

from mailboxes.models import Mailbox
from tests.admin.browser import read_log

DELETED = "?state=deleted"


@pytest.fixture
def mailboxes(account):
    """Create a mailbox with transcription and one without."""
    return [
        Mailbox.objects.create(account=account, name=name, transcribe=transcribe)
        for name, transcribe in (("One", True), ("Two", False))
    ]


def list_versions():
    return list(Mailbox.objects.values_list("version", flat=True))


def test_action_restores_deleted_mailboxes(staff, mailboxes):
    for mailbox in mailboxes:
        mailbox.soft_delete()
    staff.run_action("mailbox_changelist", "restore", *mailboxes, query=DELETED)
    assert Mailbox.objects.active().count() == 2
    assert list_versions() == [3, 3]
    assert read_log() == ["Restored.", "Restored."]


@pytest.mark.parametrize(("on_or_off", "expected"), [("on", [1, 2]), ("off", [2, 1])])
def test_action_turns_transcription_on_or_off(staff, mailboxes, on_or_off, expected):
    staff.run_action("mailbox_changelist", f"turn_transcription_{on_or_off}", *mailboxes)
    assert Mailbox.objects.filter(transcribe=on_or_off == "on").count() == 2
    assert list_versions() == expected
    assert read_log() == [f"Transcription turned {on_or_off}."]


def test_only_selected_mailboxes_are_changed(staff, mailboxes):
    staff.run_action("mailbox_changelist", "turn_transcription_off", mailboxes[1])
    assert list_versions() == [1, 1]


def test_action_changes_all_matching_mailboxes(staff, mailboxes):
    staff.run_action(
        "mailbox_changelist",
        "turn_transcription_on",
        mailboxes[0],
        query="?q=acme",
        select_across=1,
    )
    assert Mailbox.objects.filter(transcribe=True).count() == 2


def test_history_names_the_author(staff, mailboxes):
    staff.run_action("mailbox_changelist", "turn_transcription_off", *mailboxes)
    latest = mailboxes[0].history.latest()
    assert (latest.transcribe, latest.history_user.username) == (False, "ada")


def test_message_counts_the_changed_mailboxes(staff, mailboxes):
    staff.run_action("mailbox_changelist", "turn_transcription_on", *mailboxes)
    assert "Transcription turned on: 1 mailbox." in staff.open("mailbox_changelist").text
