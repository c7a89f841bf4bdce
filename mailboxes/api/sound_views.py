"""The commands on sounds. Every query starts from the account of the credential."""

import logging
from functools import partial
from http import HTTPStatus

from django.db import transaction
from django.http import Http404, HttpResponse
from drf_spectacular.utils import extend_schema
from rest_framework.permissions import SAFE_METHODS
from rest_framework.response import Response

from mailboxes.api.exceptions import OfReseller, ServiceUnavailable
from mailboxes.api.finding import cut_page, link_to_next
from mailboxes.api.idempotency import find_first_answer, run_once
from mailboxes.api.parsers import (
    FORM_TYPE,
    FormOrJSONNegotiation,
    FormParser,
    LongJSONParser,
    is_json,
)
from mailboxes.api.sounds import (
    MAX_PAGE,
    ContentURLSerializer,
    SoundFieldsSerializer,
    SoundParameters,
    SoundSerializer,
    filter_sounds,
)
from mailboxes.api.uploads import decode
from mailboxes.api.views import Command, UploadViewSet
from mailboxes.audio.decoder import decoder
from mailboxes.db.replica import reads_from_replica
from mailboxes.http.bodies import BODY_UNREAD
from mailboxes.http.sounds import make_content_url
from mailboxes.models import Sound
from mailboxes.models.sounds import NEWEST_FIRST

log = logging.getLogger("mailboxes.api")


class SoundViewSet(UploadViewSet):
    serializer_class = SoundSerializer
    parser_classes = [FormParser, LongJSONParser]
    content_negotiation_class = FormOrJSONNegotiation

    def get_queryset(self):
        sounds = Sound.objects.using(self.using)
        if self.request.method in SAFE_METHODS:
            return sounds.usable_by(self.request.user)
        own = sounds.filter(account=self.request.user).select_related("account")
        own = own.restorable() if self.with_deleted else own.active()
        return own.select_for_update(of=("self",))

    def get_object(self):
        """Return the sound, locked for a write. Raises Http404, PreconditionFailed, OfReseller."""
        try:
            return super().get_object()
        except Http404:
            is_write = self.request.method not in SAFE_METHODS
            if is_write and Sound.objects.get_usable(self.kwargs["uuid"], self.request.user):
                raise OfReseller from None
            raise

    def check_body(self, request):
        if not is_json(request.content_type):
            super().check_body(request)

    @extend_schema(parameters=[SoundParameters])
    @reads_from_replica
    def list(self, request, *args, **kwargs):
        parameters = SoundParameters.parse(request.query_params)
        sounds = self.get_queryset()
        if parameters.get("deleted"):
            sounds = Sound.objects.using(self.using).filter(account=request.user).deleted()
        found = filter_sounds(sounds, parameters)
        headers = {"X-Total-Count": str(found.count())}
        rows, cursor = cut_page(found.order_by(*NEWEST_FIRST), parameters, MAX_PAGE, "created_at")
        if cursor:
            headers |= link_to_next(request.build_absolute_uri(), cursor)
        return Response(SoundSerializer(rows, many=True).data, headers=headers)

    @reads_from_replica
    def retrieve(self, request, *args, **kwargs):
        return super().retrieve(request, *args, **kwargs)

    @extend_schema(request={FORM_TYPE: SoundFieldsSerializer}, responses={201: SoundSerializer})
    def create(self, request, *args, **kwargs):
        if BODY_UNREAD in request.META:
            return HttpResponse(status=HTTPStatus.CONTINUE)
        if first := find_first_answer(self):
            return first
        values = self.read_values()
        greeting = decode(decoder.decode_greeting, "file", values.pop("file"))
        return run_once(self, partial(self.store, greeting, values))

    def read_values(self, **options) -> dict:
        serializer = SoundFieldsSerializer(data=self.request.data, **options)
        serializer.is_valid(raise_exception=True)
        return serializer.validated_data

    def store(self, greeting, values):
        try:
            self.row = Sound.create(self.request.user, greeting, **values)
        except OSError:
            raise self.log_failure() from None
        return Response(SoundSerializer(self.row).data, status=201)

    def log_failure(self) -> ServiceUnavailable:
        log.exception("A sound cannot be stored.")
        return ServiceUnavailable("The sound cannot be stored: try again later.")

    @extend_schema(request={FORM_TYPE: SoundFieldsSerializer})
    def partial_update(self, request, *args, **kwargs):
        if BODY_UNREAD in request.META:
            with transaction.atomic():
                self.get_object()
            del self.row
            return HttpResponse(status=HTTPStatus.CONTINUE)
        values = self.read_values(partial=True)
        file = values.pop("file", None)
        greeting = decode(decoder.decode_greeting, "file", file) if file else None
        try:
            return self.change(greeting, values)
        except OSError:
            raise self.log_failure() from None

    @transaction.atomic
    def change(self, greeting, values):
        sound = self.get_object()
        if greeting:
            sound.replace_audio(greeting, **values)
        elif values:
            sound.change(**values)
        return Response(SoundSerializer(sound).data)

    def perform_destroy(self, sound):
        sound.soft_delete()

    @extend_schema(request=None)
    def restore(self, request, *args, **kwargs):
        return run_once(self, self.restore_sound)

    @transaction.atomic
    def restore_sound(self):
        sound = self.get_object()
        sound.restore()
        return Response(SoundSerializer(sound).data)


class ContentURLView(SoundViewSet):
    """Make a temporary address of a sound's audio. It differs each second, so it has no ETag."""

    @extend_schema(responses=ContentURLSerializer)
    def retrieve(self, request, *args, **kwargs):
        return Response({"content_url": make_content_url(request, self.get_object().audio_id)})

    def finalize_response(self, request, response, *args, **kwargs):
        return Command.finalize_response(self, request, response, *args, **kwargs)
