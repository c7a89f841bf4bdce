"""The contract's commands. Every query starts from the account that the credential acts on."""

from functools import partial

from django.db import transaction
from drf_spectacular.renderers import (
    OpenApiJsonRenderer,
    OpenApiJsonRenderer2,
    OpenApiYamlRenderer,
    OpenApiYamlRenderer2,
)
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView
from rest_framework.exceptions import ParseError
from rest_framework.generics import get_object_or_404
from rest_framework.permissions import SAFE_METHODS
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import ModelViewSet

from mailboxes.api import representation, writing
from mailboxes.api.conditions import answer_if_changed, entity_tag, refuse_if_changed
from mailboxes.api.fastpath import REFUSED_CALL
from mailboxes.api.finding import ListParameters, Page
from mailboxes.api.idempotency import once
from mailboxes.api.serializers import ChangeSerializer, MailboxSerializer, RecipientSerializer
from mailboxes.db.connections import PRIMARY
from mailboxes.db.replica import reads_from_replica
from mailboxes.history import changes

METHODS_WITH_BODY = ["POST", "PUT", "PATCH"]
SETTING_PASS_CODE = ["create", "update", "partial_update"]


class Command(APIView):
    """What the contract asks of every command before its own work begins."""

    takes_body = True
    http_method_names = ["get", "head", "post", "put", "patch", "delete"]

    def dispatch(self, request, *args, **kwargs):
        """As DRF's, but that the view does not hold its answer: only garbage collection would let go of it."""
        response = super().dispatch(request, *args, **kwargs)
        del self.response
        return response

    def initial(self, request, *args, **kwargs):
        """Refuse a wrong method whoever asks, then strangers, then a body that is no JSON object."""
        if request.method not in self.allowed_methods:
            self.http_method_not_allowed(request)
        if call := request.META.get(REFUSED_CALL):
            call.raise_error(request)
        super().initial(request, *args, **kwargs)
        if self.takes_body and request.method in METHODS_WITH_BODY:
            if not request.body:
                raise ParseError("The body must be a JSON object.")
            _ = request.data  # parsed here, before a transaction begins

    def finalize_response(self, request, response, *args, **kwargs):
        """Say what is left of the caller's limit."""
        response = super().finalize_response(request, response, *args, **kwargs)
        if throttle := getattr(request, "throttle", None):
            throttle.tell(response)
        return response


class AuthenticatedView(Command):
    """Says whether credentials are good."""

    def get(self, request, *args, **kwargs):
        return Response({})


class SchemaView(SpectacularAPIView):
    """The document itself, for anyone: YAML, or JSON by `Accept` or `?format=json`."""

    http_method_names = Command.http_method_names
    authentication_classes = []
    permission_classes = []
    throttle_classes = []
    renderer_classes = [
        OpenApiYamlRenderer,
        OpenApiYamlRenderer2,
        OpenApiJsonRenderer2,  # before its sibling: a browser shows application/json
        OpenApiJsonRenderer,
    ]

    def get_format_suffix(self, **kwargs):
        return self.request.query_params.get("format")

    def _get_version_parameter(self, request):
        """No version by `?version=`: it would be written into a header and the document as it came."""


class AccountViewSet(Command, ModelViewSet):
    """Commands on one account's rows. One that fails has changed nothing."""

    lookup_field = "uuid"
    with_deleted = False
    using = PRIMARY

    def get_object(self):
        """The row that the command is about. It is not written if the caller's idea of it is out of date."""
        self.row = super().get_object()
        if self.request.method not in SAFE_METHODS:
            refuse_if_changed(self.request, self.row)
        return self.row

    def finalize_response(self, request, response, *args, **kwargs):
        """Tag what is served, so that the next call can say what it was based on."""
        response = super().finalize_response(request, response, *args, **kwargs)
        if response.status_code in (200, 201):
            if row := getattr(self, "row", None):
                response["ETag"] = entity_tag(row)
            if request.method in SAFE_METHODS:
                response.add_post_render_callback(partial(answer_if_changed, request))
        return response

    def get_mailboxes(self):
        """The account's mailboxes. A command that writes holds those it reads, so that writers queue."""
        mailboxes = self.request.user.mailboxes.using(self.using)
        mailboxes = mailboxes.restorable() if self.with_deleted else mailboxes.active()
        return mailboxes if self.request.method in SAFE_METHODS else mailboxes.select_for_update()

    def create(self, request, *args, **kwargs):
        return once(self, partial(self.make, request, *args, **kwargs))

    def make(self, request, *args, **kwargs):
        """Create a row, whatever key came with the call."""
        return super().create(request, *args, **kwargs)

    @transaction.atomic
    def destroy(self, request, *args, **kwargs):
        return super().destroy(request, *args, **kwargs)


class MailboxViewSet(AccountViewSet):
    serializer_class = MailboxSerializer

    def finalize_response(self, request, response, *args, **kwargs):
        """Say what is weak about the pass code that the call has set."""
        response = super().finalize_response(request, response, *args, **kwargs)
        if self.action in SETTING_PASS_CODE and response.status_code in (200, 201):
            for name, text in writing.warning(request.data).items():
                response[name] = text
        return response

    def get_queryset(self):
        return self.get_mailboxes()

    def make(self, request):
        self.row = writing.created(request.user, request.auth, request.data)
        return Response(representation.shown_after(self.row), status=201)

    def update(self, request, uuid, partial=False):
        self.row = writing.updated(
            representation.to_change(request.user.pk, uuid),
            request.auth,
            request.data,
            partial,
            check=lambda mailbox: refuse_if_changed(request, mailbox),
        )
        return Response(representation.shown_after(self.row))

    @extend_schema(parameters=[ListParameters])
    @reads_from_replica
    def list(self, request, *args, **kwargs):
        if parameters := ListParameters.read(request.query_params):
            page = Page(request.user.mailboxes.using(self.using), parameters)
            rows, headers = page.rows(), page.headers(request.build_absolute_uri())
            mailboxes, counted = representation.listed(rows)
            return Response(mailboxes, headers=counted | headers)
        mailboxes, headers = representation.all_of(self.using, request.user.pk)
        return Response(mailboxes, headers=headers)

    @reads_from_replica
    def retrieve(self, request, *args, **kwargs):
        mailbox, headers = representation.one_of(self.using, request.user.pk, self.kwargs["uuid"])
        return Response(mailbox, headers=headers)

    @extend_schema(responses=ChangeSerializer(many=True))
    @reads_from_replica
    def history(self, request, *args, **kwargs):
        return Response(ChangeSerializer(changes(self.get_object()), many=True).data)

    @extend_schema(request=None, responses={200: MailboxSerializer})
    def restore(self, request, *args, **kwargs):
        return once(self, self.make_active)

    @transaction.atomic
    def make_active(self):
        mailbox = self.get_object()
        mailbox.restore()
        restored, _headers = representation.one_of(self.using, self.request.user.pk, mailbox.pk)
        return Response(restored)

    def perform_destroy(self, mailbox):
        mailbox.soft_delete()


class RecipientViewSet(AccountViewSet):
    serializer_class = RecipientSerializer

    def get_mailbox(self):
        return get_object_or_404(self.get_mailboxes(), uuid=self.kwargs["mailbox_uuid"])

    def get_queryset(self):
        return self.get_mailbox().email_recipients.all()

    @transaction.atomic
    def make(self, request, *args, **kwargs):
        self.mailbox = self.get_mailbox()  # an unknown mailbox is 404 whatever the body says
        return super().make(request, *args, **kwargs)

    @transaction.atomic
    def update(self, request, *args, **kwargs):
        return super().update(request, *args, **kwargs)

    def perform_create(self, serializer):
        self.row = serializer.save(mailbox=self.mailbox)
