"""The forms of a sound: its audio (a file, or a text for a voice), and its other fields."""

import hashlib
import logging
from textwrap import shorten
from uuid import UUID, uuid5

from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from mailboxes import contract, validators
from mailboxes.audio.decoder import decoder
from mailboxes.audio.decoding import UnusableAudioError
from mailboxes.audio.recordings import Greeting
from mailboxes.audio.speech import SpeechError, list_voices, speak
from mailboxes.http.bodies import RECORDING_TOO_LARGE
from mailboxes.models import Sound
from mailboxes.models.sounds import name_after
from mailboxes.own_changes import OwnChangesForm

log = logging.getLogger("mailboxes")

DEFAULT_VOICE = "en"
ACCEPT = "audio/*,.wav,.mp3,.ogg,.oga,.opus,.flac,.webm,.m4a"
MAX_NAME_FROM_TEXT = 40


class AudioForm(forms.Form):
    """The audio of a sound: either a file, or a text and a voice."""

    file = forms.FileField(
        label=_("Audio file"),
        required=False,
        max_length=contract.MAX_FILE_NAME_LENGTH,
        widget=forms.FileInput({"accept": ACCEPT}),
        help_text=_(
            "Choose it, or drop it here: WAV, MP3, Ogg, FLAC, WebM or M4A, at most 20 MiB and 90 "
            "seconds."
        ),
    )
    text = forms.CharField(
        label=_("Text"),
        required=False,
        max_length=contract.MAX_SOUND_TEXT,
        widget=forms.Textarea({"rows": 3}),
        help_text=_("A voice reads it."),
    )
    voice = forms.ChoiceField(label=_("Voice"), required=False)

    def __init__(self, *args, **kwargs):
        super().__init__(*args, label_suffix="", **kwargs)
        voices = list_voices()
        self.fields["voice"].choices = list(voices.items())
        if voices:
            is_known = DEFAULT_VOICE in voices
            self.fields["voice"].initial = DEFAULT_VOICE if is_known else next(iter(voices))
        else:
            del self.fields["text"], self.fields["voice"]

    def clean_file(self):
        file = self.cleaned_data["file"]
        if file and file.size > contract.MAX_RECORDING_BYTES:
            raise ValidationError(RECORDING_TOO_LARGE)
        if file:
            try:
                validators.validate_printable(file.name)
            except ValidationError:
                raise ValidationError(
                    _("This file name cannot be used. Rename the file.")
                ) from None
        return file

    def clean_voice(self):
        return self.cleaned_data["voice"] or self.fields["voice"].initial

    def clean(self):
        super().clean()
        file, text = (self.cleaned_data.get(name) for name in ("file", "text"))
        if file and text:
            self.add_error("text", _("Choose a file or enter a text, not both."))
        elif not (file or text or self.errors):
            self.add_error("file", _("Choose a file, record, or enter a text."))

    def decode(self) -> Greeting | None:
        """Return the greeting of a valid form. Without one, the form has an error that says why."""
        text = self.cleaned_data.get("text")
        field = "text" if text else "file"
        try:
            if text:
                return decoder.decode_greeting(speak(text, self.cleaned_data["voice"]))
            return decoder.decode_greeting(self.cleaned_data["file"].read())
        except UnusableAudioError as error:
            self.add_error(field, str(error))
        except SpeechError:
            self.add_error("text", _("The voice cannot read this. Try another voice."))
        except OSError:
            log.exception("A recording cannot be decoded.")
            self.add_error(field, _("The recording cannot be decoded: try again later."))
        return None

    def get_values(self) -> dict:
        """Return the fields of a sound that say where its audio is from."""
        if text := self.cleaned_data.get("text"):
            return {"text": text, "voice": self.cleaned_data["voice"], "file_name": ""}
        return {"text": "", "voice": "", "file_name": self.cleaned_data["file"].name}

    def make_uuid(self, form_uuid: UUID | None) -> UUID | None:
        """Return a UUID that is the same only for the same form with the same file."""
        file = self.cleaned_data["file"]
        if form_uuid is None or not file:
            return form_uuid
        digest = hashlib.sha256()
        for chunk in file.chunks():
            digest.update(chunk)
        file.seek(0)
        return uuid5(form_uuid, digest.hexdigest())


class NewSoundForm(AudioForm):
    """A new sound. Without a name it gets that of the file, or the start of the text."""

    name = forms.CharField(
        label=_("Name"),
        required=False,
        max_length=contract.MAX_NAME_LENGTH,
        validators=[validators.validate_printable],
        help_text=_("Empty: that of the file, or the first words of the text."),
    )
    shared = forms.BooleanField(
        label=_("Shared"),
        required=False,
        help_text=Sound._meta.get_field("shared").help_text,
    )

    def get_values(self) -> dict:
        values = super().get_values()
        name = self.cleaned_data["name"]
        if not name and values["text"]:
            name = shorten(values["text"], MAX_NAME_FROM_TEXT, placeholder="…")
        values["name"] = name or name_after(values["file_name"])
        return values | {"shared": self.cleaned_data["shared"]}


class SoundForm(OwnChangesForm):
    """The fields of a sound that can be changed."""

    class Meta:
        model = Sound
        fields = ["name", "tag", "shared"]
