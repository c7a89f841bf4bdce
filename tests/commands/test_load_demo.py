"""The `load_demo` command."""

import re
from datetime import timedelta
from functools import cache

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import transaction
from django.utils import timezone

from mailboxes.audio import speech
from mailboxes.batches import undo_batch
from mailboxes.history import add_deletions
from mailboxes.models import Account, Batch, EmailRecipient, Mailbox, Message, Sound
from mailboxes.validators import is_weak_pass_code

speak_once = cache(speech.speak)


@pytest.fixture(autouse=True)
def _same_speech(monkeypatch):
    """Make the speech once for all tests, because it takes half a second."""
    monkeypatch.setattr(speech, "speak", speak_once)


@pytest.fixture
def demo(db, capsys):
    """Load the default demo data, and return what the command printed."""
    call_command("load_demo")
    return capsys.readouterr().out


def load_and_roll_back(*arguments):
    """Load, roll back, and return the rows without numbered keys and encrypted texts."""
    columns = {field.name for field in Mailbox._meta.fields} - {"account", "password_sealed"}
    mailboxes = Mailbox.objects.order_by("uuid")
    with transaction.atomic():
        call_command("load_demo", *arguments)
        made = [
            *Account.objects.values_list("name", "contact_name", "reseller__name", "created_at"),
            *mailboxes.values_list("account__name", *sorted(columns)),
            *(mailbox.password for mailbox in mailboxes),
            *EmailRecipient.objects.order_by("uuid").values_list(),
        ]
        transaction.set_rollback(True)
    return made


def test_output_counts_the_created_rows(demo):
    recipients = EmailRecipient.objects.count()
    assert (Account.objects.count(), Mailbox.objects.count()) == (12, 200)
    assert (
        demo
        == f"Created 12 accounts, 200 mailboxes, {recipients} recipients, 2 greetings, 9 messages.\n"
    )


def test_options_set_the_number_of_accounts_and_mailboxes(db, capsys):
    call_command("load_demo", "--accounts=3", "--mailboxes=5")
    assert (Account.objects.count(), Mailbox.objects.count()) == (3, 5)


def test_smallest_load_has_one_mailbox(db, capsys):
    call_command("load_demo", "--accounts=1", "--mailboxes=1")
    assert Mailbox.objects.get().account.name == "demo"


def test_more_accounts_than_names_can_be_made(db, capsys):
    call_command("load_demo", "--accounts=1700", "--mailboxes=1")
    assert Account.objects.count() == 1700


def test_same_seed_makes_the_same_data(db):
    assert load_and_roll_back("--seed=7") == load_and_roll_back("--seed=7")


def test_another_seed_makes_other_data(db):
    assert load_and_roll_back("--seed=7") != load_and_roll_back("--seed=8")


def test_demo_account_has_mailboxes_and_customers(demo):
    account = Account.objects.get(name="demo")
    assert 15 <= account.mailboxes.active().count() <= 25
    assert account.customers.count() >= 2
    assert Account.objects.in_tree_order().order_by("depth").last().depth >= 3


def test_every_row_is_valid(demo):
    for model in (Account, Mailbox, EmailRecipient):
        for row in model.objects.all():
            row.full_clean()


def test_most_mailboxes_have_a_pass_code_and_some_are_weak(demo):
    codes = [(mailbox.password, mailbox.password_is_weak) for mailbox in Mailbox.objects.all()]
    present = [(code, weak) for code, weak in codes if code is not None]
    assert all(re.fullmatch("[0-9]{4}", code) for code, _ in present)
    assert all(weak == is_weak_pass_code(code) for code, weak in present)
    assert 0.85 * 200 <= len(present) <= 0.95 * 200
    assert {weak for _, weak in present} == {True, False}


def test_addresses_are_under_a_reserved_domain(demo):
    addresses = EmailRecipient.objects.values_list("email", flat=True)
    assert all(address.endswith(".example") for address in addresses)


def test_creation_times_are_distinct(demo):
    for made in (
        Mailbox.objects.values_list("account", "created_at"),
        EmailRecipient.objects.values_list("mailbox", "created_at"),
    ):
        assert len(set(made)) == len(made)


def test_some_mailboxes_are_updated_and_some_deleted(demo):
    mailboxes = Mailbox.objects.all()
    assert all(mailbox.updated_at >= mailbox.created_at for mailbox in mailboxes)
    assert any(mailbox.updated_on > mailbox.created_on for mailbox in mailboxes)
    assert 0 < sum(mailbox.is_deleted for mailbox in mailboxes) <= 0.06 * 200


def test_deleted_mailboxes_can_be_restored_and_name_who_deleted_them(demo):
    deleted = list(Mailbox.objects.exclude(deleted_at=None))
    add_deletions(deleted)
    assert all(15 <= mailbox.days_left <= 30 for mailbox in deleted)
    assert len({mailbox.days_left for mailbox in deleted}) > 1
    assert {mailbox.deletion.user.username for mailbox in deleted} == {"demo"}
    changes = list(Batch.objects.all())
    assert [batch.made_at for batch in changes] == sorted(
        (mailbox.deleted_at for mailbox in deleted), reverse=True
    )
    undone, skipped = undo_batch(changes[0], changes[0].user)
    assert (undone.count, skipped) == (1, [])


def test_every_change_names_its_author(demo):
    for model in (Account, Mailbox, EmailRecipient):
        authors = model.history.values_list("history_user__username", flat=True).distinct()
        assert list(authors.order_by()) == ["demo"]


def test_new_user_of_the_demo_cannot_sign_in(demo):
    user = User.objects.get()
    assert (user.username, user.is_active, user.has_usable_password()) == ("demo", False, False)


def test_present_user_of_the_demo_is_left_alone(db):
    user = User.objects.create_superuser("demo", password="correct horse")
    call_command("load_demo")
    kept = User.objects.get()
    assert (kept.password, kept.is_active) == (user.password, True)


def test_history_begins_with_the_creation(demo):
    for model in (Mailbox, EmailRecipient):
        made = model.history.filter(history_type="+")
        assert set(made.values_list("uuid", "created_at")) == set(
            model.objects.values_list("uuid", "created_at")
        )
        assert all(row.history_date == row.updated_at == row.created_at for row in made)


def test_history_ends_with_the_current_state(demo):
    for mailbox in Mailbox.objects.exclude(deleted_at=None):
        latest, first = mailbox.history.all()
        assert (latest.deleted_at, latest.version) == (mailbox.deleted_at, mailbox.version)
        assert (first.deleted_at, first.version) == (None, 1)


def test_pass_codes_in_the_history_can_be_decrypted(demo):
    for row in Mailbox.history.select_related("account"):
        assert row.password == row.instance.password


def test_messages_are_spoken_and_of_the_last_days(demo):
    now = timezone.now()
    messages = Message.objects.all()
    assert {message.mailbox.account.name for message in messages} == {"demo"}
    assert len({message.mailbox_id for message in messages}) > 1
    for message in messages:
        empty = {field.name for field in Message._meta.fields if field.null}
        message.full_clean(exclude=empty)
        assert now - timedelta(days=7) < message.received_at < now
        assert 2 <= message.duration <= 20
        assert len(message.read_recording()) == message.size
        assert max(message.peaks) > 60  # audible
    assert len({message.size for message in messages}) == 9


def test_greetings_are_spoken_shared_and_in_use(demo):
    sounds = list(Sound.objects.all())
    assert {sound.name for sound in sounds} == {"Welcome", "Office closed"}
    for sound in sounds:
        assert (sound.account.name, sound.shared) == ("demo", True)
        assert 3 < sound.audio.duration < 20
        assert sound.text
        assert sound.voice
        assert sound.find_users().exists()
        assert sound.history.get().history_user.username == "demo"
    for mailbox in Mailbox.objects.exclude(greeting=None):
        assert Sound.objects.get_usable(mailbox.greeting, mailbox.account)


def test_messages_are_varied(demo):
    messages = Message.objects.all()
    assert sum(message.is_deleted for message in messages) == 1
    assert {message.is_heard for message in messages if not message.is_deleted} == {True, False}
    texts = [message.transcription for message in messages]
    assert None in texts
    assert {text.isascii() for text in texts if text} == {True, False}  # English, German
    assert {message.transcription_status for message in messages} == {"off", "done"}


def test_data_without_voices_has_no_messages(db, capsys, monkeypatch):
    monkeypatch.setattr(speech, "PACKAGE", "not_installed")
    call_command("load_demo", "--accounts=1", "--mailboxes=1")
    assert capsys.readouterr().out.endswith(
        "no greetings and messages, since the speech for them needs: pip install '.[voices]'.\n"
    )
    assert not Message.objects.exists()


def test_accounts_are_dated_after_their_resellers(demo):
    for account in Account.objects.in_tree_order():
        assert account.reseller is None or account.reseller.created_at < account.created_at


def test_database_with_accounts_is_refused(account):
    with pytest.raises(CommandError, match="has accounts already"):
        call_command("load_demo")
    assert (Account.objects.count(), Mailbox.objects.count()) == (1, 0)


def test_account_above_the_quota_is_refused(db, settings):
    settings.MAX_MAILBOXES_PER_ACCOUNT = 10
    with pytest.raises(CommandError, match=r"at most 10 active mailboxes.* Use more --accounts"):
        call_command("load_demo")
    assert not Account.objects.exists()


@pytest.mark.parametrize("option", ["--accounts", "--mailboxes"])
@pytest.mark.parametrize("number", ["0", "-1", "1.5", "many", ""])
def test_size_below_one_is_refused(db, option, number):
    with pytest.raises(CommandError, match=f"{option}: .*is not a whole number, 1 or more"):
        call_command("load_demo", f"{option}={number}")
    assert not Account.objects.exists()


def test_seed_that_is_no_number_is_refused(db):
    with pytest.raises(CommandError, match="--seed"):
        call_command("load_demo", "--seed=lucky")
    assert not Account.objects.exists()
