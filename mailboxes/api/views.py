"""The contract's commands. Every query starts from the account of the credential."""

import gzip
import re
from functools import cache, partial

from django.conf import settings
from django.db import transaction
from django.http import HttpResponse, StreamingHttpResponse
from drf_spectacular.renderers import (
    OpenApiJsonRenderer,
    OpenApiJsonRenderer2,
    OpenApiYamlRenderer,
    OpenApiYamlRenderer2,
)
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import ParseError, UnsupportedMediaType
from rest_framework.generics import get_object_or_404
from rest_framework.permissions import SAFE_METHODS
from rest_framework.response import Response
from rest_framework.views import APIView
from rest_framework.viewsets import ModelViewSet

from mailboxes.api import lists, representation, writing
from mailboxes.api.authentication import authorize
from mailboxes.api.changes import list_changed_mailboxes
from mailboxes.api.conditions import (
    apply_conditions,
    evaluate_conditions,
    get_etag,
    hash_to_etag,
    refuse_if_changed,
)
from mailboxes.api.exceptions import UnsupportedEncoding
from mailboxes.api.fastpath import REFUSED_CALL
from mailboxes.api.finding import (
    HISTORY_LIMIT,
    HistoryParameters,
    ListParameters,
    Page,
    link_to_next,
)
from mailboxes.api.idempotency import run_once
from mailboxes.api.parsers import FormNegotiation, FormParser, Negotiation, is_form
from mailboxes.api.renderers import MEDIA_TYPE
from mailboxes.api.schema import get_document
from mailboxes.api.serializers import ChangeSerializer, MailboxSerializer, RecipientSerializer
from mailboxes.api.uploads import describe_form
from mailboxes.db.connections import PRIMARY
from mailboxes.db.replica import reads_from_replica
from mailboxes.history import HistoryPage
from mailboxes.http.bodies import KEPT, is_encoded

TITLE = settings.SPECTACULAR_SETTINGS["TITLE"]
ACCEPTS_GZIP = re.compile(r"\bgzip\b(?!\s*;\s*q=0(?:\.0*)?\s*(?:,|$))", re.IGNORECASE)
METHODS_WITH_BODY = ["POST", "PUT", "PATCH"]
ACTIONS_WITH_PASS_CODE = ["create", "update", "partial_update"]


class Command(APIView):
    """Base of all API commands: checks method, credential, limit, account and body, in turn."""

    takes_body = True
    http_method_names = ["get", "head", "post", "put", "patch", "delete"]

    def dispatch(self, request, *args, **kwargs):
        response = super().dispatch(request, *args, **kwargs)
        # Breaks a reference cycle, which would keep the response until garbage collection.
        del self.response
        return response

    def initial(self, request, *args, **kwargs):
        if request.method not in self.allowed_methods:
            self.http_method_not_allowed(request)
        if call := request.META.get(REFUSED_CALL):
            call.raise_error(request)
        super().initial(request, *args, **kwargs)  # authentication, then the throttle
        authorize(request)
        if self.takes_body and request.method in METHODS_WITH_BODY:
            self.check_body(request)

    def check_body(self, request):
        if is_encoded(request):
            raise UnsupportedEncoding
        if not request.body:
            raise ParseError("The body must be a JSON object.")
        _ = request.data  # parsed here, before a transaction begins

    def finalize_response(self, request, response, *args, **kwargs):
        response = super().finalize_response(request, response, *args, **kwargs)
        if throttle := getattr(request, "throttle", None):
            throttle.add_headers(response)
        return response


class AuthenticatedView(Command):
    """Answer 200 to a valid credential; the permission check has refused the others."""

    def get(self, request, *args, **kwargs):
        return Response({})


class EmptyListView(Command):
    """Answer an empty list, for programs that read another list to test a credential."""

    schema = None  # not a command of the document

    def get(self, request, *args, **kwargs):
        return Response([])


class SchemaView(APIView):
    """Serve the OpenAPI document to everyone: YAML, or JSON by `Accept` or `?format=json`.

    It is the same for everyone, so it may be compressed (see docs/operations.md).
    """

    http_method_names = Command.http_method_names
    authentication_classes = []
    permission_classes = []
    throttle_classes = []
    renderer_classes = [
        OpenApiYamlRenderer,
        OpenApiYamlRenderer2,
        OpenApiJsonRenderer2,  # first, since browsers display application/json
        OpenApiJsonRenderer,
    ]
    schema = None  # not a command of the document

    def get_format_suffix(self, **kwargs):
        return self.request.query_params.get("format")

    def get(self, request):
        renderer = request.accepted_renderer
        compress = bool(ACCEPTS_GZIP.search(request.headers.get("Accept-Encoding", "")))
        content = render_schema(type(renderer), compress)
        headers = {
            "Cache-Control": "no-cache",  # ask whether the ETag is still the same
            "Content-Disposition": f'inline; filename="{TITLE}.{renderer.format}"',
            "ETag": hash_to_etag(content),
            "Vary": "Accept-Encoding",
        }
        if compress:
            headers["Content-Encoding"] = "gzip"
        content_type = renderer.media_type
        if renderer.charset:
            content_type += f"; charset={renderer.charset}"
        response = HttpResponse(content, content_type=content_type, headers=headers)
        return evaluate_conditions(request, headers["ETag"], response)


@cache
def render_schema(renderer_class, compress: bool) -> bytes:
    """Return the OpenAPI document, cached: rendering it takes a tenth of a second."""
    if compress:
        # Without the time, so that all processes send the same ETag.
        return gzip.compress(render_schema(renderer_class, False), mtime=0)
    return renderer_class().render(get_document(), renderer_context={})


class AccountViewSet(Command, ModelViewSet):
    """Commands on one account's rows. A command that fails changes nothing."""

    lookup_field = "uuid"
    with_deleted = False
    using = PRIMARY

    def get_object(self):
        """Return the row. Raises PreconditionFailed if a write's If-Match has an outdated version."""
        self.row = super().get_object()
        if self.request.method not in SAFE_METHODS:
            refuse_if_changed(self.request, self.row)
        return self.row

    def finalize_response(self, request, response, *args, **kwargs):
        response = super().finalize_response(request, response, *args, **kwargs)
        if response.status_code in (200, 201):
            if row := getattr(self, "row", None):
                response["ETag"] = get_etag(row)
            if request.method in SAFE_METHODS and not response.streaming:
                response.add_post_render_callback(partial(apply_conditions, request))
        return response

    def get_compared_body(self):
        """Return what calls with one Idempotency-Key must share: the parsed body, or None."""
        return self.request.data if self.takes_body else None

    def get_mailboxes(self):
        mailboxes = self.request.user.mailboxes.using(self.using)
        mailboxes = mailboxes.restorable() if self.with_deleted else mailboxes.active()
        return mailboxes if self.request.method in SAFE_METHODS else mailboxes.select_for_update()

    def create(self, request, *args, **kwargs):
        return run_once(self, partial(self.create_row, request, *args, **kwargs))

    def create_row(self, request, *args, **kwargs):
        return super().create(request, *args, **kwargs)

    @transaction.atomic
    def destroy(self, request, *args, **kwargs):
        return super().destroy(request, *args, **kwargs)


class UploadViewSet(AccountViewSet):
    """Commands that take a form with a recording.

    The server first runs it without the body (BODY_UNREAD): it must then answer 100 to let the body
    be read.
    """

    parser_classes: list = [FormParser]
    content_negotiation_class: type[Negotiation] = FormNegotiation

    def check_throttles(self, request):
        """Count the call once: before its body is read."""
        kept = request.META.get(KEPT, {})
        if "throttle" in kept:
            request.throttle = kept["throttle"]
        else:
            super().check_throttles(request)
            kept["throttle"] = request.throttle

    def check_body(self, request):
        if is_encoded(request):
            raise UnsupportedEncoding
        if not is_form(request.content_type):
            raise UnsupportedMediaType(request.content_type)

    def get_compared_body(self):
        return describe_form(self.request.data)


class MailboxViewSet(AccountViewSet):
    serializer_class = MailboxSerializer

    def finalize_response(self, request, response, *args, **kwargs):
        response = super().finalize_response(request, response, *args, **kwargs)
        if self.action in ACTIONS_WITH_PASS_CODE and response.status_code in (200, 201):
            for name, text in writing.pass_code_warning(request.data).items():
                response[name] = text
        return response

    def get_queryset(self):
        return self.get_mailboxes()

    def create_row(self, request):
        self.row = writing.create_mailbox(request.user, request.auth, request.data)
        return Response(representation.represent_saved(self.row), status=201)

    def update(self, request, uuid, partial=False):
        self.row = writing.update_mailbox(
            representation.fetch_to_change(request.user.pk, uuid),
            request.auth,
            request.data,
            partial,
            check=lambda mailbox: refuse_if_changed(request, mailbox),
        )
        return Response(representation.represent_saved(self.row))

    @extend_schema(parameters=[ListParameters])
    def list(self, request, *args, **kwargs):
        parameters = ListParameters.parse(request.query_params)
        if "changed_since" in parameters:
            url = request.build_absolute_uri()
            mailboxes, headers = list_changed_mailboxes(request.user, parameters, url)
            return Response(mailboxes, headers=headers)
        return self.list_found(request, parameters)

    @reads_from_replica
    def list_found(self, request, parameters):
        if parameters:
            page = Page(request.user.mailboxes.using(self.using), parameters)
            page_headers = page.headers(request.build_absolute_uri())
            mailboxes, headers = lists.render_texts(page.texts())
            headers |= page_headers
        else:
            mailboxes, headers = lists.fetch_list(self.using, request.user.pk)
        if isinstance(mailboxes, lists.LongList):
            return self.send_long_list(mailboxes, headers)
        return Response(mailboxes, headers=headers)

    def send_long_list(self, mailboxes, headers):
        headers |= {"ETag": mailboxes.get_etag(headers)}
        response = StreamingHttpResponse(mailboxes, content_type=MEDIA_TYPE, headers=headers)
        conditional = apply_conditions(self.request, response)
        if conditional is not response:
            mailboxes.close()
        return conditional

    @reads_from_replica
    def retrieve(self, request, *args, **kwargs):
        mailbox, headers = representation.fetch_one(
            self.using, request.user.pk, self.kwargs["uuid"]
        )
        return Response(mailbox, headers=headers)

    @extend_schema(parameters=[HistoryParameters], responses=ChangeSerializer(many=True))
    @reads_from_replica
    def history(self, request, *args, **kwargs):
        parameters = HistoryParameters.parse(request.query_params)
        limit, cursor = parameters.get("limit", HISTORY_LIMIT), parameters.get("cursor")
        page = HistoryPage(self.get_object(), limit, cursor)
        del self.row  # its version is no ETag: authors are renamed, and old changes removed
        url = request.build_absolute_uri()
        headers = link_to_next(url, page.older) if page.older else {}
        return Response(ChangeSerializer(page.changes, many=True).data, headers=headers)

    @extend_schema(request=None, responses={200: MailboxSerializer})
    def restore(self, request, *args, **kwargs):
        return run_once(self, self.restore_mailbox)

    @transaction.atomic
    def restore_mailbox(self):
        mailbox = self.get_object()
        mailbox.restore()
        restored, _headers = representation.fetch_one(self.using, self.request.user.pk, mailbox.pk)
        return Response(restored)

    def perform_destroy(self, mailbox):
        mailbox.soft_delete()


class RecipientViewSet(AccountViewSet):
    serializer_class = RecipientSerializer

    def get_mailbox(self):
        """Return the mailbox, and set it as the row whose ETag a list of its recipients gets."""
        self.row = get_object_or_404(self.get_mailboxes(), uuid=self.kwargs["mailbox_uuid"])
        return self.row

    def get_queryset(self):
        return self.get_mailbox().email_recipients.all()

    @transaction.atomic
    def create_row(self, request, *args, **kwargs):
        self.mailbox = self.get_mailbox()  # before the body is validated: 404 comes before 400
        refuse_if_changed(request, self.mailbox)
        return super().create_row(request, *args, **kwargs)

    @transaction.atomic
    def update(self, request, *args, **kwargs):
        return super().update(request, *args, **kwargs)

    def perform_create(self, serializer):
        self.row = serializer.save(mailbox=self.mailbox)
