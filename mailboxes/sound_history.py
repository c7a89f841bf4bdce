"""The changes of a sound, built from its history rows, and their undo."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise

from django.db import transaction
from django.utils.text import capfirst
from django.utils.translation import gettext_lazy as _

from mailboxes.models import ApiCredential, Sound, SoundAudio
from mailboxes.models.history import NEWEST_FIRST, START

SHOWN = 100  # changes, the newest ones
AUTHORS = ("history_credential__account", "history_user")
# The fields that are shown with their old and new values; another recording is only named.
LABELS = {"name": _("name"), "tag": _("tag"), "shared": _("shared")}


class AudioRemovedError(Exception):
    """The recording of the version to put back has been removed for good."""


@dataclass
class SoundChange:
    """A change of a sound, with old and new values by label."""

    action: str  # created, changed, deleted, restored
    at: datetime
    user: object | None
    credential: ApiCredential | None
    version: int  # of the sound, after the change
    steps: list[tuple] = field(default_factory=list)
    has_new_audio: bool = False


def list_changes(sound: Sound) -> list[SoundChange]:
    """Return the last changes of the sound, the newest first."""
    rows = sound.history.select_related(*AUTHORS).order_by(*NEWEST_FIRST)[: SHOWN + 1]
    return list(build_changes(list(rows)))[:SHOWN]


def build_changes(rows) -> Iterator[SoundChange]:
    for new, old in pairwise([*rows, None]):
        if new.history_type == START:
            return
        authors = (new.history_date, new.history_user, new.history_credential, new.version)
        if old is None:
            if new.history_type == "+":
                yield SoundChange("created", *authors)
        elif bool(new.deleted_at) != bool(old.deleted_at):
            yield SoundChange("deleted" if new.deleted_at else "restored", *authors)
        else:
            steps = [
                (capfirst(label), getattr(old, name), getattr(new, name))
                for name, label in LABELS.items()
                if getattr(old, name) != getattr(new, name)
            ]
            yield SoundChange("changed", *authors, steps, new.audio_id != old.audio_id)


@transaction.atomic
def put_back(sound: Sound, version: int) -> Sound:
    """Put back the state of this version, and return the sound, restored if it is deleted.

    A sound that was deleted in this version is deleted again. Raises Sound.DoesNotExist if the
    sound or that version is gone, AudioRemovedError, ValidationError (`limit`), SoundInUseError.
    """
    sound = Sound.objects.select_for_update(of=("self",)).select_related("account").get(pk=sound.pk)
    then = sound.history.filter(version=version).first()
    if then is None:
        raise Sound.DoesNotExist
    if then.audio_id != sound.audio_id:
        # Locked, so that purge_deleted does not remove it meanwhile.
        audio = SoundAudio.objects.select_for_update().filter(pk=then.audio_id).first()
        if audio is None:
            raise AudioRemovedError
        sound.set_audio(audio)
    if then.deleted_at is None:
        sound.restore()
    sound.change(**{name: getattr(then, name) for name in Sound.CHANGEABLE})
    if then.deleted_at is not None:
        sound.soft_delete()
    return sound
