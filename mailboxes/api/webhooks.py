"""Webhooks in answers and requests, and pages of their deliveries."""

from rest_framework import serializers

from mailboxes import contract, validators
from mailboxes.api.finding import (
    NewestFirstCursorField,
    QueryParameters,
    cut_page,
    link_to_next,
)
from mailboxes.api.serializers import CREATED_ON, UPDATED_ON, TextField, TrueOrFalseField
from mailboxes.encryption import UnknownKeyError
from mailboxes.models import WebhookDelivery, WebhookEndpoint
from mailboxes.models.webhooks import MAX_URL_LENGTH, NEWEST_FIRST

MAX_PAGE = 100  # deliveries, each of which is decrypted for its last answer


class WebhookSerializer(serializers.Serializer):
    """A webhook."""

    created_on = serializers.DateField(read_only=True, help_text=CREATED_ON)
    events = serializers.ListField(
        child=serializers.ChoiceField(choices=contract.WEBHOOK_EVENTS),
        min_length=1,
        help_text="The events that are sent",
    )
    include_customers = TrueOrFalseField(
        default=False, help_text="Send the events of the account's customers of all levels too"
    )
    is_active = TrueOrFalseField(default=True, help_text="Send events")
    updated_on = serializers.DateField(read_only=True, help_text=UPDATED_ON)
    url = TextField(
        max_length=MAX_URL_LENGTH,
        validators=[validators.validate_webhook_url],
        help_text="The address that events are sent to by POST",
    )
    uuid = serializers.UUIDField(read_only=True)

    def create(self, validated_data):
        return WebhookEndpoint.create(**validated_data)

    def update(self, endpoint, validated_data):
        endpoint.change(**validated_data)
        return endpoint


class WebhookWithSecretSerializer(WebhookSerializer):
    """A webhook with its secret, which no other answer has."""

    secret = serializers.CharField(
        read_only=True, help_text="The key of its signatures: no other answer has it"
    )


class DeliverySerializer(serializers.Serializer):
    """An event that was sent to a webhook, or is to be sent."""

    answer = serializers.SerializerMethodField(
        help_text="The beginning of the last answer, or why there was none; null before the first"
    )
    attempted_at = serializers.DateTimeField(
        allow_null=True, help_text="When it was last attempted, in UTC"
    )
    attempts = serializers.IntegerField(help_text="How often it was attempted")
    created_at = serializers.DateTimeField(help_text="When the event was stored, in UTC")
    event = serializers.CharField(help_text="The type of the event")
    id = serializers.UUIDField(source="uuid", help_text="The webhook-id of each attempt")
    next_attempt_at = serializers.DateTimeField(
        allow_null=True, help_text="When it is attempted next; null if it is not"
    )
    state = serializers.ChoiceField(
        choices=WebhookDelivery.State.values, help_text="The outcome so far"
    )
    status = serializers.IntegerField(
        allow_null=True, help_text="The status of the last answer; null if there was none"
    )

    def get_answer(self, delivery) -> str | None:
        try:
            attempts = delivery.content["attempts"]
        except UnknownKeyError:
            return None
        return attempts[-1]["answer"] if attempts else None


class DeliveryParameters(QueryParameters):
    """Query parameters of the list of deliveries, which always has pages."""

    limit = serializers.IntegerField(
        required=False, min_value=1, max_value=MAX_PAGE, help_text="The size of a page"
    )
    cursor = NewestFirstCursorField(
        required=False, help_text="The end of the previous page, from its Link header"
    )


def list_page(deliveries, parameters: dict, url: str) -> tuple[list[WebhookDelivery], dict]:
    """Return a page of deliveries, newest first, and the headers of the answer."""
    rows, cursor = cut_page(deliveries.order_by(*NEWEST_FIRST), parameters, MAX_PAGE, "created_at")
    return rows, link_to_next(url, cursor) if cursor else {}
