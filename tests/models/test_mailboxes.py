"""Mailboxes and recipients: versions, history, encryption, and rules of the database."""

from datetime import UTC, datetime

import pytest
from django.core.exceptions import FieldError, ValidationError
from django.db import DatabaseError, IntegrityError, connection, transaction

from mailboxes.models import EmailRecipient, Mailbox
from tests.service import shows

pytestmark = pytest.mark.django_db


@pytest.fixture
def mailbox(account):
    return Mailbox.objects.create(account=account, name="Sales", password="4829")


def test_pass_code_is_encrypted_in_the_database_and_in_history(mailbox):
    with connection.cursor() as cursor:
        for table in ("mailboxes_mailbox", "mailboxes_historicalmailbox"):
            cursor.execute(f"SELECT * FROM {table}")
            assert not shows(cursor.fetchall(), "4829")
    assert Mailbox.objects.get().password == "4829"
    assert mailbox.history.get().password == "4829"


def test_ciphertext_cannot_be_decrypted_in_another_row(mailbox, account):
    other = Mailbox.objects.create(account=account, name="Support", password="7302")
    Mailbox.objects.filter(pk=other.pk).update(password_sealed=mailbox.password_sealed)
    with pytest.raises(Exception, match="cannot be decrypted"):
        _ = Mailbox.objects.get(pk=other.pk).password


def test_filter_by_pass_code_is_refused(mailbox):
    with pytest.raises(FieldError):
        Mailbox.objects.filter(password="4829")


def test_weak_pass_code_is_marked(mailbox):
    assert not mailbox.password_is_weak
    mailbox.password = "1234"
    assert mailbox.password_is_weak
    mailbox.password = None
    assert (mailbox.password_is_weak, mailbox.password_sealed) == (False, None)


def test_save_increments_the_version(mailbox):
    mailbox.save()
    mailbox.save()
    mailbox.refresh_from_db()
    assert mailbox.version == 3


def test_save_sets_updated_at(account):
    long_ago = datetime(2023, 6, 2, tzinfo=UTC)
    mailbox = Mailbox.objects.create(account=account, name="Sales", created_at=long_ago)
    assert mailbox.updated_at == long_ago
    mailbox.save()
    assert mailbox.updated_at > long_ago


def test_deleted_mailbox_can_be_restored(mailbox):
    mailbox.soft_delete()
    assert not Mailbox.objects.active().exists()
    mailbox.restore()
    assert Mailbox.objects.active().get() == mailbox
    assert mailbox.history.count() == 3


def test_second_deletion_or_restoration_changes_nothing(mailbox):
    mailbox.restore()
    mailbox.soft_delete()
    mailbox.soft_delete()
    assert mailbox.history.count() == 2


@pytest.mark.parametrize("name", ["", "x" * 101])
def test_database_refuses_a_name_of_a_wrong_length(account, name):
    with pytest.raises(Exception, match=r"mailbox_name_length|too long"), transaction.atomic():
        Mailbox.objects.create(account=account, name=name)


def test_account_with_mailboxes_cannot_be_deleted(mailbox, account):
    with pytest.raises(Exception, match="protected"):
        account.delete()


def test_forced_update_of_a_deleted_row_raises_an_error(account):
    mailbox = Mailbox.objects.create(account=account, name="Gone")
    Mailbox.objects.filter(pk=mailbox.pk).delete()
    for options in ({"update_fields": ["name"]}, {"force_update": True}):
        with pytest.raises(DatabaseError):
            mailbox.save(**options)
    assert not Mailbox.objects.exists()


def test_numbers_for_booleans_are_stored_as_booleans(account):
    mailbox = Mailbox.objects.create(account=account, name="Sales", beep=0, transcribe=1)
    mailbox.play_timestamp = 1
    mailbox.save()
    found = Mailbox.objects.values_list("beep", "transcribe", "play_timestamp")
    assert found.get(pk=mailbox.pk) == (False, True, True)


# --- Recipients ---------------------------------------------------------------


def test_database_refuses_a_duplicate_address_in_any_case(mailbox):
    mailbox.add_recipient("pete@acme.example")
    with pytest.raises(IntegrityError), transaction.atomic():
        EmailRecipient.objects.create(mailbox=mailbox, email="PETE@acme.example")


def test_duplicate_address_is_an_error_of_the_email_field(mailbox):
    mailbox.add_recipient("pete@acme.example")
    with pytest.raises(ValidationError) as refusal:
        mailbox.add_recipient("PETE@acme.example")
    assert refusal.value.message_dict == {"email": ["This mailbox already has that address."]}


def test_recipient_change_increments_the_mailbox_version(mailbox):
    recipient = mailbox.add_recipient("pete@acme.example")
    recipient.save()
    recipient.delete()
    assert Mailbox.objects.get().version == mailbox.version == 4


def test_history_of_a_deleted_recipient_is_kept(mailbox):
    mailbox.add_recipient("pete@acme.example").delete()
    assert [row.history_type for row in EmailRecipient.history.all()] == ["-", "+"]
