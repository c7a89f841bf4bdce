"""History writer: a row and its history row are written together, or neither."""

import pytest
from django.db import DatabaseError, IntegrityError, transaction

from mailboxes.models import Mailbox
from mailboxes.models.history import HistoryRecords
from mailboxes.models.mailboxes import ChangedMeanwhileError

pytestmark = pytest.mark.django_db

COLUMNS = [field.attname for field in Mailbox.history.model.tracked_fields]


@pytest.fixture
def mailbox(account):
    return Mailbox.objects.create(account=account, name="100 % of it", password="4829")


def history_states(mailbox):
    """Return the columns of each history row, latest first."""
    return [tuple(row) for row in mailbox.history.values_list(*COLUMNS)]


def current_state(mailbox):
    return Mailbox.objects.values_list(*COLUMNS).get(pk=mailbox.pk)


def test_history_row_is_a_copy_of_the_row(mailbox):
    created = current_state(mailbox)
    assert history_states(mailbox) == [created]
    mailbox.beep = False
    mailbox.save()
    assert history_states(mailbox) == [current_state(mailbox), created]
    assert current_state(mailbox) == tuple(getattr(mailbox, name) for name in COLUMNS)
    assert [row.history_type for row in mailbox.history.all()] == ["~", "+"]


def test_other_fields_are_not_saved_with_update_fields(mailbox):
    Mailbox.objects.filter(pk=mailbox.pk).update(transcribe=True)
    mailbox.beep, mailbox.name = False, "Not saved"
    mailbox.save(update_fields=["beep"])
    found = Mailbox.objects.get()
    assert (found.beep, found.name, found.transcribe) == (False, "100 % of it", True)
    assert history_states(mailbox)[0] == current_state(mailbox)


@pytest.mark.parametrize("fields", [None, ["account"], ["name"]])
def test_mailbox_never_moves_to_another_account(mailbox, stranger, fields):
    before = current_state(mailbox)
    mailbox.account, mailbox.name = stranger, "Moved"
    with pytest.raises(DatabaseError), transaction.atomic():
        mailbox.save(update_fields=fields)
    with pytest.raises(ChangedMeanwhileError):
        mailbox.change({"account": stranger})
    assert current_state(mailbox) == before == history_states(mailbox)[0]


def test_recipient_never_moves_to_another_mailbox(mailbox, stranger):
    recipient = mailbox.add_recipient("pete@acme.example")
    recipient.mailbox = Mailbox.objects.create(account=stranger, name="Other")
    with pytest.raises(DatabaseError), transaction.atomic():
        recipient.save()
    assert mailbox.email_recipients.get() == recipient


def test_row_with_another_version_is_not_updated(mailbox):
    before = history_states(mailbox)
    fields = HistoryRecords.history_fields("~")
    mailbox.name = "Support"
    assert not Mailbox.history_writer.update(mailbox, fields, "default", ["name"], version=2)
    assert history_states(mailbox) == before == [current_state(mailbox)]
    assert Mailbox.history_writer.update(mailbox, fields, "default", ["name"], version=1)
    assert history_states(mailbox) == [current_state(mailbox), *before]


def test_deleted_row_is_inserted_again(mailbox):
    """Django's own save does the same."""
    Mailbox.objects.filter(pk=mailbox.pk).delete()
    mailbox.save()
    assert Mailbox.objects.get() == mailbox
    assert mailbox.history.first().history_type == "+"


def test_refused_update_writes_no_history(mailbox):
    before = current_state(mailbox)
    mailbox.name = ""  # a constraint of the database refuses it
    with pytest.raises(IntegrityError), transaction.atomic():
        mailbox.save()
    assert history_states(mailbox) == [current_state(mailbox)] == [before]


def test_refused_insert_writes_no_history(mailbox, account):
    with pytest.raises(IntegrityError), transaction.atomic():
        Mailbox(uuid=mailbox.pk, account=account, name="Support").save(force_insert=True)
    assert mailbox.history.count() == 1


def test_stale_change_is_refused(mailbox):
    stale = Mailbox.objects.get()
    mailbox.change({"name": "Support"})
    with pytest.raises(ChangedMeanwhileError):
        stale.change({"beep": False})
    found = Mailbox.objects.get()
    assert (found.name, found.beep, found.version) == ("Support", True, 2)
    assert mailbox.history.count() == 2


def test_change_leaves_other_columns_as_they_are(mailbox):
    """The pass code may have been encrypted with another key since, without a new version."""
    stale = Mailbox.objects.get()
    assert mailbox.reencrypt()
    stale.change({"name": "Support"})
    found = Mailbox.objects.get()
    assert (found.name, found.password_sealed) == ("Support", mailbox.password_sealed)
    assert mailbox.history.first().password_sealed == mailbox.password_sealed
