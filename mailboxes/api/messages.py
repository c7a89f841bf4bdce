"""Messages in answers and requests, and pages of their list."""

from datetime import datetime

from django.utils import timezone
from rest_framework import serializers

from mailboxes import contract, validators
from mailboxes.api.changes import MAX_LIMIT
from mailboxes.api.finding import (
    MomentField,
    NewestFirstCursorField,
    QueryParameters,
    YesOrNoField,
    cut_page,
    link_to_next,
)
from mailboxes.api.serializers import TextField, TrueOrFalseField, UUIDTextField
from mailboxes.api.uploads import UploadSerializer, check_size
from mailboxes.models import Message
from mailboxes.models.messages import MAX_AHEAD, NEWEST_FIRST
from mailboxes.models.searching import validate_search


class TextOrNull(serializers.CharField):
    """An empty text is null in an answer."""

    def to_representation(self, value):
        return value or None


class MessageSerializer(serializers.ModelSerializer):
    """A message, in an answer."""

    caller_id_name = TextOrNull(allow_null=True, help_text="The caller's name, or null")
    caller_id_number = TextOrNull(allow_null=True, help_text="The caller's number, or null")
    duration = serializers.IntegerField(help_text="Whole seconds, rounded")
    heard = serializers.BooleanField(source="is_heard", help_text="Whether it has been heard")
    received_at = serializers.DateTimeField(help_text="When it was received, in UTC")
    transcription = serializers.CharField(
        source="readable_transcription",
        allow_null=True,
        help_text="What the caller says, or null",
    )
    transcription_status = serializers.ChoiceField(
        choices=Message.Status.values, help_text="Whether there is a transcription, or will be"
    )

    class Meta:
        model = Message
        fields = contract.MESSAGE_KEYS


class HeardSerializer(serializers.Serializer):
    """The mark of a message as heard or not."""

    heard = TrueOrFalseField(help_text="Whether it has been heard")


def validate_text(text: str) -> None:
    if text:
        validators.validate_printable(text)


class NewMessageSerializer(UploadSerializer):
    """The form that hands in a message."""

    recording = serializers.FileField(
        help_text="The file: WAV, MP3, Ogg, FLAC, WebM or M4A, at most 20 MiB and 15 minutes"
    )
    caller_id_name = TextField(
        default="",
        allow_blank=True,
        max_length=contract.MAX_NAME_LENGTH,
        validators=[validate_text],
        help_text="The caller's name",
    )
    caller_id_number = TextField(
        default="",
        allow_blank=True,
        max_length=contract.MAX_NUMBER_LENGTH,
        validators=[validate_text],
        help_text="The caller's number",
    )
    received_at = MomentField(required=False, help_text="When it was received; without it, now")
    call_id = TextField(
        default="",
        allow_blank=True,
        max_length=contract.MAX_CALL_ID_LENGTH,
        validators=[validate_text],
        help_text="The call's own identifier: a second message of the same call is not stored",
    )

    def validate_recording(self, file):
        return check_size("recording", file)

    def validate_received_at(self, moment: datetime) -> datetime:
        now = timezone.now()
        if moment > now + MAX_AHEAD:
            raise serializers.ValidationError("Use a time that is not in the future.", "future")
        return min(moment, now)


class BulkSerializer(serializers.Serializer):
    """A change of several messages."""

    action = serializers.ChoiceField(
        choices=["hear", "unhear", "delete", "restore"], help_text="What is done to each"
    )
    uuids = serializers.ListField(
        child=UUIDTextField(),
        min_length=1,
        max_length=contract.MAX_BULK_MESSAGES,
        help_text="The UUIDs of the messages",
    )


class FailureSerializer(serializers.Serializer):
    uuid = serializers.UUIDField()
    code = serializers.ChoiceField(
        choices=["not_found", "full"], help_text="Why: the mailbox may be full"
    )


class OutcomeSerializer(serializers.Serializer):
    """The outcome of a change of several messages."""

    done = serializers.ListField(
        child=serializers.UUIDField(), help_text="The UUIDs of those that are now as wanted"
    )
    failed = FailureSerializer(many=True, help_text="The others")


class MessageParameters(QueryParameters):
    """Query parameters of the list of messages."""

    heard = YesOrNoField(required=False, help_text="Whether they have been heard")
    search = serializers.CharField(
        required=False,
        max_length=contract.MAX_SEARCH_LENGTH,
        help_text="Words, each of them in the caller's name or number or in the transcription; "
        "in any case, with or without accents; a number with or without spaces and hyphens",
        validators=[validate_search],
    )
    received_since = MomentField(
        required=False, help_text="Only messages received at or after this date or time"
    )
    received_before = MomentField(
        required=False, help_text="Only messages received before this date or time"
    )
    deleted = YesOrNoField(
        required=False, help_text="true: only deleted messages that can be restored"
    )
    limit = serializers.IntegerField(
        required=False, min_value=1, max_value=MAX_LIMIT, help_text="The size of a page"
    )
    cursor = NewestFirstCursorField(
        required=False, help_text="The end of the previous page, from its Link header"
    )


class MessagePage:
    """A page of a mailbox's messages, newest first, and its headers."""

    def __init__(self, messages, parameters: dict):
        self.messages = messages
        found = filter_messages(messages, parameters)
        self.total = found.count()
        found = found.order_by(*NEWEST_FIRST).defer("segments_sealed")
        self.rows, self.cursor = cut_page(found, parameters, MAX_LIMIT, "received_at")

    def headers(self, url: str) -> dict:
        unheard = self.messages.unheard().count()
        headers = {"X-Total-Count": str(self.total), "X-Unheard-Count": str(unheard)}
        return headers | (link_to_next(url, self.cursor) if self.cursor else {})


def filter_messages(messages, parameters: dict):
    is_deleted = parameters.get("deleted", False)
    # Not `deleted()`: with this condition the databases use the index of a mailbox's deleted ones.
    found = (
        messages.restorable().filter(deleted_at__isnull=False) if is_deleted else messages.active()
    )
    if "heard" in parameters:
        found = found.filter(heard_at__isnull=not parameters["heard"])
    if "received_since" in parameters:
        found = found.filter(received_at__gte=parameters["received_since"])
    if "received_before" in parameters:
        found = found.filter(received_at__lt=parameters["received_before"])
    return found.search(parameters["search"]) if "search" in parameters else found
