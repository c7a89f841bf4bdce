"""Sounds in answers and requests, and pages of their list."""

import base64

from django.core.exceptions import SuspiciousFileOperation
from django.core.files.uploadedfile import SimpleUploadedFile
from django.utils.datastructures import MultiValueDict
from rest_framework import serializers

from mailboxes import contract, validators
from mailboxes.api.finding import NewestFirstCursorField, QueryParameters, YesOrNoField
from mailboxes.api.serializers import CREATED_ON, UPDATED_ON, TextField, TrueOrFalseField
from mailboxes.api.uploads import UploadSerializer, check_size
from mailboxes.models import Sound
from mailboxes.models.searching import validate_search
from mailboxes.models.sounds import name_after

MAX_PAGE = 1000
WRONG_CONTENT = serializers.ErrorDetail("Send the file in base64.", "invalid")
WRONG_FILE_NAME = serializers.ErrorDetail("Use a name such as greeting.mp3.", "invalid")


class SoundSerializer(serializers.ModelSerializer):
    """A sound, in an answer."""

    audio_type = serializers.IntegerField(
        help_text="1: an uploaded file or a recording; 2: a text read by a voice"
    )
    created_on = serializers.DateField(help_text=CREATED_ON)
    file_name = serializers.CharField(help_text="The name of the uploaded file, or empty")
    name = serializers.CharField(help_text="A name to find it by")
    shared = serializers.BooleanField(help_text="Whether customers of the account may use it")
    tag = serializers.CharField(help_text="A word to find it by")
    updated_on = serializers.DateField(help_text=UPDATED_ON)

    class Meta:
        model = Sound
        fields = contract.SOUND_KEYS


class FormTrueOrFalseField(TrueOrFalseField):
    """Accept the texts `true` and `false` too, because a form has only texts."""

    def to_internal_value(self, data):
        return super().to_internal_value({"true": True, "false": False}.get(data, data))


class SoundFieldsSerializer(UploadSerializer):
    """The fields of a sound that a caller sets."""

    file = serializers.FileField(
        help_text="The file: WAV, MP3, Ogg, FLAC, WebM or M4A, at most 20 MiB and 90 seconds"
    )
    name = TextField(
        required=False,
        max_length=contract.MAX_NAME_LENGTH,
        validators=[validators.validate_printable],
        help_text="A name to find it by; without it, a new sound gets the name of the file",
    )
    shared = FormTrueOrFalseField(
        required=False, help_text="Let customers of the account use it: true or false"
    )
    tag = TextField(
        required=False,
        max_length=contract.MAX_TAG_LENGTH,
        validators=[validators.validate_printable],
        help_text=f"A word to find it by (default: {contract.DEFAULT_TAG})",
    )

    def to_internal_value(self, data):
        if not isinstance(data, MultiValueDict) and "content" in data:
            data = data | {"file": decode_file(data)}
        return super().to_internal_value(data)

    def validate_file(self, file):
        return check_size("file", file)

    def validate(self, attrs):
        if file := attrs.get("file"):
            attrs["file_name"] = file.name
            if not self.partial:
                attrs.setdefault("name", name_after(file.name))
        return attrs


def decode_file(data: dict) -> SimpleUploadedFile:
    """Return the file in `content` (base64, perhaps as a data URL) with the name `file_name`."""
    try:
        content = base64.b64decode(data["content"].rpartition(",")[2], validate=True)
    except (AttributeError, TypeError, ValueError):
        raise serializers.ValidationError({"content": [WRONG_CONTENT]}) from None
    try:
        return SimpleUploadedFile(data.get("file_name", "sound"), content)
    except (TypeError, SuspiciousFileOperation):
        raise serializers.ValidationError({"file_name": [WRONG_FILE_NAME]}) from None


class ContentURLSerializer(serializers.Serializer):
    """The temporary address of a sound's audio."""

    content_url = serializers.URLField(
        help_text="It opens for ten minutes, without a credential: a WAV file"
    )


class SoundParameters(QueryParameters):
    """Query parameters of the list of sounds. Without any, all are listed."""

    search = serializers.CharField(
        required=False,
        max_length=contract.MAX_SEARCH_LENGTH,
        help_text="Words, each of them in the name, tag or file name; in any case",
        validators=[validate_search],
    )
    tag = serializers.CharField(
        required=False,
        max_length=contract.MAX_TAG_LENGTH,
        validators=[validators.validate_printable],
        help_text="Only sounds with this tag",
    )
    shared = YesOrNoField(
        required=False, help_text="Whether customers of their accounts may use them"
    )
    deleted = YesOrNoField(
        required=False, help_text="true: only deleted sounds that can be restored"
    )
    limit = serializers.IntegerField(
        required=False, min_value=1, max_value=MAX_PAGE, help_text="The size of a page"
    )
    cursor = NewestFirstCursorField(
        required=False, help_text="The end of the previous page, from its Link header"
    )


def filter_sounds(sounds, parameters: dict):
    if "tag" in parameters:
        sounds = sounds.filter(tag__iexact=parameters["tag"])
    if "shared" in parameters:
        sounds = sounds.filter(shared=parameters["shared"])
    return sounds.search(parameters["search"]) if "search" in parameters else sounds
