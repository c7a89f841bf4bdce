"""Fields and files of forms with a recording."""

import hashlib
import logging
from collections.abc import Callable
from typing import TypeVar

from django.core.files.uploadedfile import UploadedFile
from rest_framework import serializers
from rest_framework.exceptions import ValidationError

from mailboxes import contract
from mailboxes.api.exceptions import ContentTooLarge, ServiceUnavailable
from mailboxes.audio.decoding import UnusableAudioError
from mailboxes.audio.recordings import Greeting, Recording
from mailboxes.http.bodies import RECORDING_TOO_LARGE

log = logging.getLogger("mailboxes.api")

Audio = TypeVar("Audio", Recording, Greeting)

SENT_TWICE = serializers.ErrorDetail("Send this field once.", "repeated")


class UploadSerializer(serializers.Serializer):
    """A form, in which no field may come twice."""

    def to_internal_value(self, data):
        if hasattr(data, "getlist"):
            sent = {name: len(data.getlist(name)) for name in self.fields}
            if repeated := [name for name, times in sent.items() if times > 1]:
                raise serializers.ValidationError(dict.fromkeys(repeated, SENT_TWICE))
        return super().to_internal_value(data)


def check_size(field: str, file: UploadedFile) -> UploadedFile:
    if (file.size or 0) > contract.MAX_RECORDING_BYTES:
        raise ContentTooLarge({field: RECORDING_TOO_LARGE})
    return file


def decode(decode_file: Callable[[bytes], Audio], field: str, file: UploadedFile) -> Audio:
    """Decode the file of a form's field. Raises ValidationError, ServiceUnavailable."""
    try:
        return decode_file(file.read())
    except UnusableAudioError as error:
        raise ValidationError({field: [str(error)]}) from None
    except OSError:
        log.exception("A recording cannot be decoded.")
        raise ServiceUnavailable("The recording cannot be decoded: try again later.") from None


def describe_form(form) -> dict:
    """Return the fields of a form for comparison with those of an earlier call."""
    return {
        name: hash_file(value) if isinstance(value, UploadedFile) else value
        for name, value in form.items()
    }


def hash_file(file: UploadedFile) -> str:
    digest = hashlib.sha256()
    for chunk in file.chunks():
        digest.update(chunk)
    file.seek(0)
    return digest.hexdigest()
