"""Sounds: the greetings that staff and programs choose for mailboxes."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import PurePath
from uuid import UUID, uuid4

from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import Q
from django.db.models.signals import post_delete
from django.dispatch import receiver
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from mailboxes import contract, validators
from mailboxes.audio.recordings import Greeting, format_duration
from mailboxes.models.accounts import Account
from mailboxes.models.encrypted import RowWithKey
from mailboxes.models.history import HistoryMixin, history_table
from mailboxes.models.mailboxes import Mailbox, retention_start
from mailboxes.models.searching import FoldedField, contains, split_words
from mailboxes.models.timestamps import Timestamped
from mailboxes.storage import name_in_folders, recordings_store

NEWEST_FIRST = ["-created_at", "-uuid"]
MAX_NAMED = 5  # mailboxes that a refusal names


class SoundInUseError(ValidationError):
    """Mailboxes use the sound. `mailboxes` are the first MAX_NAMED of them."""

    def __init__(self, mailboxes: models.QuerySet[Mailbox]):
        count = mailboxes.count()
        self.mailboxes = list(mailboxes[:MAX_NAMED])
        names = ", ".join(f"“{mailbox.name}”" for mailbox in self.mailboxes)
        more = f" … ({count})" if count > MAX_NAMED else ""
        text = ngettext(
            "A mailbox uses this greeting: %(names)s. Choose another greeting for it first.",
            "Mailboxes use this greeting: %(names)s. Choose another greeting for them first.",
            count,
        )
        super().__init__(text, code="in_use", params={"names": names + more})


def refuse_if_used(users: models.QuerySet[Mailbox]) -> None:
    """Raise SoundInUseError if there are such mailboxes."""
    if users.exists():
        raise SoundInUseError(users)


class SoundAudioQuerySet(models.QuerySet):
    def past_retention(self):
        """Return replaced audio that cannot be put back any more."""
        return self.filter(replaced_at__lte=retention_start(), sounds=None)


def name_file(audio: "SoundAudio", filename: str) -> str:
    """Return a new name in the store."""
    return name_in_folders(uuid4())


class SoundAudio(RowWithKey, models.Model):
    """The audio of a sound in two forms, which never change: another audio is another row."""

    ENCRYPTED_COLUMN = "key_sealed"
    FILE_COLUMNS = ("telephone", "original")

    uuid = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    telephone = models.FileField(
        storage=recordings_store, upload_to=name_file, help_text="For telephones, at 8 kHz."
    )
    original = models.FileField(
        storage=recordings_store, upload_to=name_file, help_text="At the rate it came in."
    )
    key_sealed = models.TextField()
    duration = models.PositiveIntegerField(help_text="In whole seconds, rounded.")
    size = models.PositiveIntegerField(help_text="Of both forms, in bytes.")
    peaks = models.BinaryField(help_text="The loudness of 200 equal parts, from 0 to 255.")
    replaced_at = models.DateTimeField(null=True)

    objects = SoundAudioQuerySet.as_manager()

    class Meta:
        verbose_name = _("audio of a sound")
        verbose_name_plural = _("audio of sounds")
        default_permissions = ()

    def __str__(self):
        return f"Audio {self.uuid}"

    @property
    def owner(self) -> bytes:
        return self.uuid.bytes

    @property
    def length(self) -> str:
        return format_duration(self.duration)

    @classmethod
    @contextmanager
    def store(cls, greeting: Greeting) -> Iterator["SoundAudio"]:
        """Store the audio in a transaction, within which the caller saves what refers to it.

        The files are on disk before the row is. After an error they are removed. Raises OSError.
        """
        audio = cls()
        audio.create_key()
        audio.duration = round(greeting.telephone.seconds)
        audio.peaks = greeting.telephone.compute_peaks()
        original, telephone = greeting.original.to_wav(), greeting.telephone.to_wav()
        audio.size = len(original) + len(telephone)
        is_inserted = False
        try:
            audio.write_file(audio.original, original)
            audio.write_file(audio.telephone, telephone)
            with transaction.atomic():
                audio.save(force_insert=True)
                yield audio
                is_inserted = True
        except BaseException:
            # After an error of the commit, the row may be there: then its files must be, too.
            if not is_inserted:
                audio.original.delete(save=False)
                audio.telephone.delete(save=False)
            raise

    def read_telephone(self) -> bytes:
        """Return a WAV file of 8 kHz. Raises UnknownKeyError, OSError, DamagedError."""
        return self.read_file(self.telephone)

    def read_original(self) -> bytes:
        """Return a WAV file of at most 48 kHz. Raises UnknownKeyError, OSError, DamagedError."""
        return self.read_file(self.original)


class SoundQuerySet(models.QuerySet):
    def active(self):
        return self.filter(deleted_at=None)

    def deleted(self):
        """Return deleted sounds that can be restored."""
        return self.filter(deleted_at__gt=retention_start())

    def restorable(self):
        return self.exclude(deleted_at__lte=retention_start())

    def past_retention(self):
        return self.filter(deleted_at__lte=retention_start())

    def usable_by(self, account: Account):
        """Return the active sounds of the account, and the shared ones of its resellers."""
        resellers = list(Account.objects.resellers(account).values_list("pk", flat=True))
        return self.active().filter(Q(account=account.pk) | Q(account__in=resellers, shared=True))

    def get_usable(self, uuid: UUID, account: Account) -> "Sound | None":
        """Return the active sound with this UUID, if the account may use it."""
        sound = self.active().filter(pk=uuid).first()
        if sound is None or sound.account_id == account.pk:
            return sound
        resellers = Account.objects.resellers(account)
        is_from_above = sound.shared and resellers.filter(pk=sound.account_id).exists()
        return sound if is_from_above else None

    def older_than(self, moment: datetime, uuid: UUID):
        """Return the sounds that follow this time and UUID in a list with the newest first."""
        return self.filter(created_at__lte=moment).exclude(created_at=moment, uuid__gte=uuid)

    def search(self, text: str):
        """Return the sounds with every word in the name, tag or name of the file.

        Raises ValidationError if the words are too many.
        """
        return self.filter(
            *(
                contains("name", word) | Q(tag__icontains=word) | Q(file_name__icontains=word)
                for word in split_words(text)
            )
        )


class Sound(Timestamped, HistoryMixin):
    """An audio file of an account that mailboxes can use as their greeting."""

    class AudioType(models.IntegerChoices):
        UPLOADED = 1, _("Recording")
        SPOKEN = 2, _("Read by a voice")

    uuid = models.UUIDField(_("UUID"), primary_key=True, default=uuid4, editable=False)
    account = models.ForeignKey(
        Account, on_delete=models.PROTECT, related_name="sounds", verbose_name=_("account")
    )
    name = models.CharField(
        _("name"), max_length=contract.MAX_NAME_LENGTH, validators=[validators.validate_printable]
    )
    folded_name = FoldedField(default="", db_default="", blank=True, editable=False)
    tag = models.CharField(
        _("tag"),
        max_length=contract.MAX_TAG_LENGTH,
        blank=True,
        default=contract.DEFAULT_TAG,
        validators=[validators.validate_printable],
        help_text=_("A word to find it by."),
    )
    shared = models.BooleanField(
        _("shared"),
        default=False,
        help_text=_("The account's customers of all levels may use it too."),
    )
    file_name = models.CharField(
        _("file name"),
        max_length=contract.MAX_FILE_NAME_LENGTH,
        blank=True,
        validators=[validators.validate_printable],
    )
    audio_type = models.PositiveSmallIntegerField(
        choices=AudioType, default=AudioType.UPLOADED, editable=False
    )
    # Only for a text read by a voice. The API does not show them.
    text = models.TextField(_("text"), blank=True, max_length=contract.MAX_SOUND_TEXT)
    voice = models.CharField(_("voice"), max_length=64, blank=True)
    audio = models.ForeignKey(
        SoundAudio, on_delete=models.PROTECT, related_name="sounds", editable=False
    )
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)
    version = models.PositiveIntegerField(default=1, editable=False)

    parent_field = "account"
    CHANGEABLE = ("name", "tag", "shared", "file_name", "audio_type", "text", "voice")

    objects = SoundQuerySet.as_manager()
    history = history_table(
        excluded=["folded_name"],
        indexes=[models.Index(fields=["uuid", "version"], name="sound_history_by_version")],
    )

    class Meta(Timestamped.Meta):
        verbose_name = _("sound")
        verbose_name_plural = _("sounds")
        indexes = [
            models.Index(fields=["account", "created_at", "uuid"], name="sounds_of_account"),
        ]

    def __str__(self):
        return self.name

    def check_room(self) -> None:
        """Lock the account, and raise ValidationError (`limit`) if it has too many sounds."""
        Account.objects.select_for_update(no_key=True).get(pk=self.account_id)
        others = Sound.objects.active().filter(account=self.account_id).exclude(pk=self.pk)
        if others.count() >= contract.MAX_SOUNDS:
            raise ValidationError(
                _("An account has at most %(most)s sounds."),
                code="limit",
                params={"most": contract.MAX_SOUNDS},
            )

    def save(self, **kwargs):
        """Save with the next version. Lock an existing row before you read and save it."""
        if not self._state.adding:
            self.version += 1
        super().save(**kwargs)

    @classmethod
    def create(cls, account: Account, greeting: Greeting, **values) -> "Sound":
        """Store a sound. With a `text`, a voice has read it.

        Raises ValidationError; OSError if the store fails.
        """
        sound = cls(account=account, **values, audio_type=cls.get_audio_type(values.get("text")))
        sound.clean_fields(exclude=["audio"])
        with SoundAudio.store(greeting) as sound.audio:
            sound.check_room()
            sound.save(force_insert=True)
        return sound

    @classmethod
    def get_audio_type(cls, text: str | None) -> AudioType:
        return cls.AudioType.SPOKEN if text else cls.AudioType.UPLOADED

    def replace_audio(self, greeting: Greeting, text="", voice="", **values) -> None:
        """Store another audio, and set these fields. The sound must be locked.

        Raises ValidationError; OSError if the store fails.
        """
        values |= {"text": text, "voice": voice, "audio_type": self.get_audio_type(text)}
        with SoundAudio.store(greeting) as audio:
            self.set_audio(audio)
            self.change(**values)

    def set_audio(self, audio: SoundAudio) -> None:
        """Set this audio in place of the present one, without saving the sound."""
        SoundAudio.objects.filter(pk=self.audio_id).update(replaced_at=timezone.now())
        SoundAudio.objects.filter(pk=audio.pk).update(replaced_at=None)
        self.audio = audio

    def change(self, **values) -> None:
        """Set and save these fields. The sound must be locked.

        Raises ValidationError; SoundInUseError if customers use a sound that is no more shared.
        """
        if self.shared and not values.get("shared", True):
            refuse_if_used(self.find_users().exclude(account=self.account_id))
        for name, value in values.items():
            setattr(self, name, value)
        self.clean_fields(exclude=["audio"])
        self.save()

    @property
    def is_deleted(self) -> bool:
        return self.deleted_at is not None

    def find_users(self) -> models.QuerySet[Mailbox]:
        """Return the active mailboxes that have the sound as greeting, and may use it."""
        accounts = [self.account_id]
        if self.shared:
            accounts += Account.objects.below(self.account).values_list("pk", flat=True)
        return Mailbox.objects.active().filter(greeting=self.pk, account__in=accounts)

    def soft_delete(self) -> None:
        """Mark the sound as deleted. It must be locked. Raises SoundInUseError."""
        if not self.is_deleted:
            refuse_if_used(self.find_users())
            self.deleted_at = timezone.now()
            self.save()

    def restore(self) -> None:
        """Restore the deleted sound, which must be locked. Raises ValidationError (`limit`)."""
        if self.is_deleted:
            self.check_room()
            self.deleted_at = None
            self.save()


def name_after(file_name: str) -> str:
    """Return a name for a sound in a file of this name."""
    name = PurePath(file_name).stem.replace("_", " ").strip()[: contract.MAX_NAME_LENGTH]
    return name or contract.DEFAULT_TAG


def find_greeting(text: str, account: Account) -> UUID:
    """Return the UUID in the text, or that of the sound of this name that the account may use.

    An own sound is taken before one of a reseller. Raises ValidationError.
    """
    if validators.is_uuid(text):
        return UUID(text)
    usable = list(Sound.objects.usable_by(account).filter(name=text))
    found = [sound for sound in usable if sound.account_id == account.pk] or usable
    if not found:
        raise ValidationError(
            _("The account “%(account)s” has no greeting “%(name)s”. Enter a name or UUID."),
            code="invalid",
            params={"account": account, "name": text},
        )
    if len(found) > 1:
        raise ValidationError(
            _("Several greetings have the name “%(name)s”. Enter the UUID of one."),
            code="invalid",
            params={"name": text},
        )
    return found[0].pk


def list_choices(account: Account, present: str) -> list[tuple]:
    """Return the choices of a greeting: none, own and shared sounds, and the present one.

    A sound stands for itself, with its UUID as the value.
    """
    sounds = list(Sound.objects.usable_by(account).select_related("account").order_by("name"))
    own = [(str(sound.pk), sound) for sound in sounds if sound.account_id == account.pk]
    shared = [(str(sound.pk), sound) for sound in sounds if sound.account_id != account.pk]
    choices: list[tuple] = [("", gettext("None: the telephone system's own greeting"))]
    if present and present not in dict([*own, *shared]):
        uuid = UUID(present) if validators.is_uuid(present) else None
        choices.append((present, name_greetings([uuid])[uuid] or present))
    choices += own
    if shared:
        choices.append((gettext("Shared by resellers"), shared))
    return choices


def name_greetings(uuids: Iterable[UUID | None]) -> dict[UUID | None, str]:
    """Return the text that stands for each of these greetings, by its UUID."""
    uuids = {*uuids}
    sounds = Sound.objects.in_bulk([uuid for uuid in uuids if uuid])
    return {uuid: name_greeting(uuid, sounds.get(uuid)) for uuid in uuids}


def name_greeting(uuid: UUID | None, sound: Sound | None) -> str:
    if uuid is None:
        return ""
    if sound is None:
        return gettext("a sound of another service (%(uuid)s)") % {"uuid": uuid}
    return gettext("%(name)s (deleted)") % {"name": sound} if sound.is_deleted else sound.name


@receiver(post_delete, sender=SoundAudio)
def remove_files(instance: SoundAudio, **kwargs) -> None:
    """Remove both files of a removed audio, once the row is gone for good."""
    instance.remove_files_on_commit()
