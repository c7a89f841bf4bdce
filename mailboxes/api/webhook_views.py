"""The commands on webhooks. Every query starts from the account of the credential."""

from django.db import transaction
from drf_spectacular.utils import extend_schema
from rest_framework.generics import get_object_or_404
from rest_framework.permissions import SAFE_METHODS
from rest_framework.response import Response

from mailboxes.api.exceptions import Conflict
from mailboxes.api.idempotency import run_once
from mailboxes.api.views import AccountViewSet
from mailboxes.api.webhooks import (
    DeliveryParameters,
    DeliverySerializer,
    WebhookSerializer,
    WebhookWithSecretSerializer,
    list_page,
)
from mailboxes.delivery.webhooks import SwitchedOffError, send_again
from mailboxes.encryption import UnknownKeyError


class SwitchedOff(Conflict):
    default_detail = "The webhook is switched off: set is_active to true first."
    default_code = "switched_off"


class SecretLost(Conflict):
    default_detail = (
        "The secret cannot be decrypted, so it cannot be replaced: add another webhook."
    )
    default_code = "secret_lost"


class WebhookViewSet(AccountViewSet):
    serializer_class = WebhookSerializer

    def get_queryset(self):
        webhooks = self.request.user.webhooks.select_related("account")
        if self.request.method in SAFE_METHODS:
            return webhooks
        return webhooks.select_for_update(of=("self",))

    @extend_schema(responses={201: WebhookWithSecretSerializer})
    def create(self, request, *args, **kwargs):
        return super().create(request, *args, **kwargs)

    @transaction.atomic
    def create_row(self, request, *args, **kwargs):
        serializer = WebhookSerializer(data=request.data)
        serializer.is_valid(raise_exception=True)
        self.row = serializer.save(account=request.user)
        return Response(WebhookWithSecretSerializer(self.row).data, status=201)

    @transaction.atomic
    def partial_update(self, request, *args, **kwargs):
        return super().partial_update(request, *args, **kwargs)

    @extend_schema(request=None, responses=WebhookWithSecretSerializer)
    def rotate(self, request, *args, **kwargs):
        return run_once(self, self.rotate_secret)

    @transaction.atomic
    def rotate_secret(self):
        webhook = self.get_object()
        try:
            webhook.rotate()
        except UnknownKeyError:
            raise SecretLost from None
        return Response(WebhookWithSecretSerializer(webhook).data)

    @extend_schema(parameters=[DeliveryParameters], responses=DeliverySerializer(many=True))
    def deliveries(self, request, *args, **kwargs):
        parameters = DeliveryParameters.parse(request.query_params)
        deliveries = self.get_object().deliveries.all()
        del self.row  # the webhook's version is not an ETag of its deliveries
        rows, headers = list_page(deliveries, parameters, request.build_absolute_uri())
        return Response(DeliverySerializer(rows, many=True).data, headers=headers)

    @extend_schema(request=None, responses={202: DeliverySerializer})
    def replay(self, request, *args, **kwargs):
        return run_once(self, self.send_delivery_again)

    @transaction.atomic
    def send_delivery_again(self):
        webhook = get_object_or_404(self.get_queryset(), uuid=self.kwargs["uuid"])
        deliveries = webhook.deliveries.select_for_update(no_key=True)
        delivery = get_object_or_404(deliveries, uuid=self.kwargs["id"])
        delivery.endpoint = webhook
        try:
            send_again(delivery)
        except SwitchedOffError:
            raise SwitchedOff from None
        return Response(DeliverySerializer(delivery).data, status=202)
