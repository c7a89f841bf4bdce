"""Sounds: their audio, who may use them, their history, and their removal."""

from datetime import timedelta

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import transaction
from django.utils import timezone

from mailboxes import contract
from mailboxes.audio.recordings import Recording
from mailboxes.models import Account, Mailbox, Sound, SoundAudio
from mailboxes.models.sounds import SoundInUseError
from mailboxes.sound_history import AudioRemovedError, list_changes, put_back
from mailboxes.storage import recordings_store
from tests.sounds import create_sound, make_greeting

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("recordings_folder")]


@pytest.fixture
def sound(account):
    return create_sound(account)


def list_files() -> set[str]:
    return {name for name, _time in recordings_store().walk()}


def test_both_forms_are_kept_encrypted(sound):
    audio = sound.audio
    assert Recording.from_wav(audio.read_telephone()) == make_greeting().telephone
    assert Recording.from_wav(audio.read_original()) == make_greeting().original
    assert (audio.duration, len(audio.peaks)) == (2, 200)
    with recordings_store().open(audio.telephone.name) as file:
        assert audio.read_telephone()[44:1000] not in file.read()


def test_refused_sound_leaves_no_file(account):
    with pytest.raises(ValidationError) as caught:
        Sound.create(account, make_greeting(), name="")
    assert "name" in caught.value.message_dict
    assert not list_files()


def test_failure_after_the_files_removes_them(account, monkeypatch):
    def fail(self, **kwargs):
        raise RuntimeError

    monkeypatch.setattr(Sound, "save", fail)
    with pytest.raises(RuntimeError):
        Sound.create(account, make_greeting(), name="Welcome")
    assert not list_files()
    assert not SoundAudio.objects.exists()


def test_sounds_of_an_account_are_limited(account, sound, monkeypatch):
    monkeypatch.setattr(contract, "MAX_SOUNDS", 1)
    with pytest.raises(ValidationError, match="at most 1 sounds"):
        Sound.create(account, make_greeting(), name="Another")
    assert len(list_files()) == 2


@pytest.mark.parametrize(
    ("shared", "is_usable"), [(True, [True, True, False]), (False, [True, False, False])]
)
def test_shared_sound_is_usable_by_customers(account, sound, shared, is_usable):
    customer = Account.objects.create(name="customer", reseller=account)
    stranger = Account.objects.create(name="stranger")
    sound.change(shared=shared)
    found = [Sound.objects.usable_by(each).exists() for each in (account, customer, stranger)]
    assert found == is_usable


def test_deleted_sound_is_usable_by_nobody(account, sound):
    sound.soft_delete()
    assert not Sound.objects.usable_by(account).exists()


def test_used_sound_is_not_deleted(account, sound):
    mailbox = Mailbox.objects.create(account=account, name="Reception", greeting=sound.pk)
    with pytest.raises(SoundInUseError, match="“Reception”") as caught:
        sound.soft_delete()
    assert caught.value.mailboxes == [mailbox]
    sound.refresh_from_db()
    assert not sound.is_deleted


def test_mailbox_of_a_stranger_does_not_use_the_sound(sound):
    stranger = Account.objects.create(name="stranger")
    Mailbox.objects.create(account=stranger, name="Other", greeting=sound.pk)
    sound.soft_delete()
    assert sound.is_deleted


def test_sound_that_a_customer_uses_stays_shared(account, sound):
    customer = Account.objects.create(name="customer", reseller=account)
    Mailbox.objects.create(account=customer, name="Shop", greeting=sound.pk)
    sound.change(shared=True)
    with pytest.raises(SoundInUseError, match="“Shop”"):
        sound.change(shared=False)


def test_mailbox_that_may_not_use_the_sound_prevents_no_change(account, sound):
    customer = Account.objects.create(name="customer", reseller=account)
    Mailbox.objects.create(account=customer, name="Shop", greeting=sound.pk)
    sound.change(name="Hello", shared=False)
    assert Sound.objects.get().name == "Hello"


def test_changes_are_listed_and_put_back(sound):
    first = sound.audio
    sound.change(name="Hello")
    with transaction.atomic():
        sound.replace_audio(make_greeting(3), file_name="new.mp3")
    sound.soft_delete()
    sound.restore()
    changes = list_changes(sound)
    assert [change.action for change in changes] == [
        "restored",
        "deleted",
        "changed",
        "changed",
        "created",
    ]
    assert changes[3].steps == [("Name", "Welcome", "Hello")]
    assert [change.has_new_audio for change in changes[2:4]] == [True, False]
    put_back(sound, 1)
    sound.refresh_from_db()
    assert (sound.name, sound.file_name, sound.audio) == ("Welcome", "", first)
    assert sound.audio.replaced_at is None
    put_back(sound, 4)
    sound.refresh_from_db()
    assert sound.is_deleted
    assert sound.audio.duration == 3


def test_removed_audio_cannot_be_put_back(sound):
    with transaction.atomic():
        sound.replace_audio(make_greeting())
    SoundAudio.objects.exclude(pk=sound.audio_id).delete()
    with pytest.raises(AudioRemovedError):
        put_back(sound, 1)


@pytest.mark.django_db(transaction=True)
def test_purge_removes_what_nobody_can_put_back(account, settings):
    kept = Sound.create(account, make_greeting(), name="Kept")
    with transaction.atomic():
        kept.replace_audio(make_greeting(3))
    deleted = Sound.create(account, make_greeting(), name="Deleted")
    deleted.soft_delete()
    call_command("purge_deleted")
    assert (Sound.objects.count(), len(list_files())) == (2, 6)
    long_ago = timezone.now() - timedelta(days=settings.RETENTION_DAYS + 1)
    Sound.objects.filter(pk=deleted.pk).update(deleted_at=long_ago)
    SoundAudio.objects.exclude(replaced_at=None).update(replaced_at=long_ago)
    call_command("purge_deleted")
    assert list(Sound.objects.all()) == [kept]
    assert list_files() == {kept.audio.telephone.name, kept.audio.original.name}
    assert not Sound.history.filter(uuid=deleted.pk).exists()
