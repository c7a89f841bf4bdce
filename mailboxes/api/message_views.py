"""The commands on messages. Every query starts from the account of the credential."""

import logging
from functools import partial
from http import HTTPStatus

from django.conf import settings
from django.db import transaction
from django.http import HttpResponse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import NotFound
from rest_framework.generics import get_object_or_404
from rest_framework.permissions import SAFE_METHODS
from rest_framework.response import Response

from mailboxes.api.conditions import evaluate_conditions
from mailboxes.api.exceptions import MailboxFull, ServiceUnavailable
from mailboxes.api.idempotency import find_first_answer, run_once
from mailboxes.api.messages import (
    BulkSerializer,
    HeardSerializer,
    MessagePage,
    MessageParameters,
    MessageSerializer,
    NewMessageSerializer,
    OutcomeSerializer,
)
from mailboxes.api.parsers import FORM_TYPE, RecordingNegotiation
from mailboxes.api.uploads import decode
from mailboxes.api.views import AccountViewSet, Command, UploadViewSet
from mailboxes.audio.decoder import decoder
from mailboxes.audio.recordings import MEDIA_TYPE, Recording
from mailboxes.db.replica import reads_from_replica
from mailboxes.http.bodies import BODY_UNREAD
from mailboxes.http.recordings import (
    UnreadableRecordingError,
    answer_recording,
    get_recording_etag,
)
from mailboxes.models import Mailbox, Message
from mailboxes.models.messages import MailboxFullError

log = logging.getLogger("mailboxes.api")


class MessageViewSet(AccountViewSet):
    serializer_class = MessageSerializer

    def get_mailbox(self):
        """Return the active mailbox, locked for a write."""
        mailboxes = self.request.user.mailboxes.using(self.using).active()
        if self.request.method not in SAFE_METHODS:
            mailboxes = mailboxes.select_for_update(no_key=True)
        return get_object_or_404(mailboxes, uuid=self.kwargs["mailbox_uuid"])

    def get_queryset(self):
        messages = self.get_mailbox().messages
        return messages.restorable() if self.with_deleted else messages.active()

    @reads_from_replica
    def retrieve(self, request, *args, **kwargs):
        return super().retrieve(request, *args, **kwargs)

    @extend_schema(request=HeardSerializer)
    @transaction.atomic
    def partial_update(self, request, *args, **kwargs):
        message = self.get_object()
        serializer = HeardSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        message.mark_heard(serializer.validated_data["heard"])
        return Response(MessageSerializer(message).data)

    def perform_destroy(self, message):
        message.soft_delete()

    @extend_schema(request=None)
    def restore(self, request, *args, **kwargs):
        return run_once(self, self.restore_message)

    @transaction.atomic
    def restore_message(self):
        message = self.get_object()
        try:
            message.restore()
        except MailboxFullError as error:
            raise MailboxFull(str(error)) from None
        return Response(MessageSerializer(message).data)

    @extend_schema(request=BulkSerializer, responses=OutcomeSerializer)
    def bulk(self, request, *args, **kwargs):
        return run_once(self, self.change_messages)

    @transaction.atomic
    def change_messages(self):
        messages = self.get_queryset()
        serializer = BulkSerializer(data=self.request.data)
        serializer.is_valid(raise_exception=True)
        values = serializer.validated_data
        if values["action"] != "restore":  # a deleted message can only be restored, as alone
            messages = messages.active()
        done, failed = messages.select_for_update().change_each(**values)
        return Response(OutcomeSerializer({"done": done, "failed": failed}).data)


class MessageListView(UploadViewSet, MessageViewSet):
    """List the messages of a mailbox, and take new ones: forms with a recording."""

    @extend_schema(parameters=[MessageParameters])
    @reads_from_replica
    def list(self, request, *args, **kwargs):
        messages = self.get_mailbox().messages.all()
        page = MessagePage(messages, MessageParameters.parse(request.query_params))
        headers = page.headers(request.build_absolute_uri())
        return Response(MessageSerializer(page.rows, many=True).data, headers=headers)

    @extend_schema(
        request={FORM_TYPE: NewMessageSerializer},
        responses={200: MessageSerializer, 201: MessageSerializer},
    )
    def create(self, request, *args, **kwargs):
        mailbox = get_object_or_404(request.user.mailboxes.active(), uuid=kwargs["mailbox_uuid"])
        if BODY_UNREAD in request.META:
            return HttpResponse(status=HTTPStatus.CONTINUE)
        if first := find_first_answer(self):
            return first
        serializer = NewMessageSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        values = serializer.validated_data
        if earlier := Message.find_call(mailbox, values["call_id"]):
            return run_once(self, partial(self.answer_earlier, earlier))
        recording = decode(decoder.decode, "recording", values.pop("recording"))
        if not recording.samples or recording.seconds < settings.MESSAGE_MIN_SECONDS:
            return run_once(self, partial(Response, {}))
        return run_once(self, partial(self.store, mailbox, recording, values))

    def store(self, mailbox: Mailbox, recording: Recording, values: dict):
        try:
            message, is_new = Message.receive(mailbox, recording, **values)
        except MailboxFullError as error:
            raise MailboxFull(str(error)) from None
        except Mailbox.DoesNotExist:
            raise NotFound from None
        except OSError:
            log.exception("A recording cannot be stored.")
            raise ServiceUnavailable("The recording cannot be stored: try again later.") from None
        if not is_new:
            return self.answer_earlier(message)
        self.row = message
        return Response(MessageSerializer(message).data, status=201)

    def answer_earlier(self, message: Message):
        """Answer with the first message of the same call."""
        self.row = message
        return Response(MessageSerializer(message).data)


class RecordingView(MessageViewSet):
    """Serve the recording of a message as a WAV file, or a part of it."""

    content_negotiation_class = RecordingNegotiation

    @extend_schema(
        responses=dict.fromkeys([(200, MEDIA_TYPE), (206, MEDIA_TYPE)], OpenApiTypes.BINARY)
    )
    @reads_from_replica
    def retrieve(self, request, *args, **kwargs):
        message = self.get_object()
        del self.row  # the recording has an ETag of its own, because it never changes
        etag = get_recording_etag(message)
        current = HttpResponse(headers={"ETag": etag})
        if (answer := evaluate_conditions(request, etag, current)) is not current:
            return answer
        try:
            return answer_recording(request, message)
        except UnreadableRecordingError:
            raise ServiceUnavailable("The recording cannot be read: try again later.") from None

    def finalize_response(self, request, response, *args, **kwargs):
        return Command.finalize_response(self, request, response, *args, **kwargs)
