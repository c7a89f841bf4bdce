"""Finding mailboxes in a long list: parameters of the address, pages, and where a page ends."""

import base64
from datetime import UTC, datetime, time
from uuid import UUID

import orjson
from django.db.models import Q
from django.utils.dateparse import parse_date, parse_datetime
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.utils.urls import replace_query_param

from mailboxes.api.representation import rows

MAX_LIMIT = 1000
ORDERS = {"created": "created_at", "name": "name", "updated": "updated_at"}


class YesOrNoField(serializers.ChoiceField):
    """`true` or `false`, as JSON writes them."""

    def __init__(self, **kwargs):
        super().__init__(choices=["true", "false"], **kwargs)

    def to_internal_value(self, data):
        return super().to_internal_value(data) == "true"


@extend_schema_field(
    {"anyOf": [{"type": "string", "format": kind} for kind in ("date", "date-time")]}
)
class MomentField(serializers.Field):
    """A day, from its beginning in UTC, or a moment."""

    default_error_messages = {
        "invalid": "Use a date or a moment, such as 2023-06-02 or 2023-06-02T12:00:00Z."
    }

    def to_internal_value(self, data) -> datetime:
        try:
            return read_moment(data)
        except (ValueError, OverflowError):
            self.fail("invalid")


def read_moment(text) -> datetime:
    """The moment, or the day's beginning. Raises ValueError, or OverflowError before year 1 or after 9999."""
    moment = parse_datetime(text) or parse_date(text)
    if moment is None:
        raise ValueError
    if not isinstance(moment, datetime):
        moment = datetime.combine(moment, time.min)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def read_text(text) -> str:
    """Text that a database can look for. Raises ValueError."""
    if "\0" in text:
        raise ValueError
    return text


class CursorField(serializers.CharField):
    """Where a page ended, as `Page.headers` writes it: the order, and its last row's place in it."""

    default_error_messages = {"invalid": "Use a cursor from the Link header of the page before."}

    def to_internal_value(self, data):
        try:
            # Not Python's own parser: deep nesting ends it with a RecursionError.
            order, value, uuid = orjson.loads(base64.urlsafe_b64decode(data))
            is_name = ORDERS[order.removeprefix("-")] == "name"
            return order, (read_text if is_name else read_moment)(value), UUID(uuid)
        except (ValueError, OverflowError, KeyError, TypeError, AttributeError):
            self.fail("invalid")


class ListParameters(serializers.Serializer):
    """What the list may be asked for. With none of these it is the whole account's."""

    search = serializers.CharField(
        required=False, help_text="Text in the name, a recipient's address or the UUID"
    )
    name = serializers.CharField(required=False, help_text="The whole name")
    transcribe = YesOrNoField(required=False, help_text="Whether messages are transcribed")
    has_password = YesOrNoField(required=False, help_text="Whether there is a pass code")
    recipient = serializers.CharField(required=False, help_text="A recipient's whole address")
    updated_since = MomentField(
        required=False, help_text="Only what was created or updated since this date or moment"
    )
    deleted = YesOrNoField(
        required=False, help_text="true: the deleted ones that can be restored, instead"
    )
    order = serializers.ChoiceField(
        required=False,
        choices=[sign + order for order in ORDERS for sign in ("", "-")],
        help_text="What to sort by; with a minus, the other way round",
    )
    limit = serializers.IntegerField(
        required=False, min_value=1, max_value=MAX_LIMIT, help_text="The size of a page"
    )
    cursor = CursorField(required=False, help_text="Where the page before ended: its Link says")

    @classmethod
    def read(cls, query) -> dict:
        """The parameters, checked. Raises ValidationError naming each that is wrong.

        A stray parameter alone is ignored: today's clients send some. Beside a known one
        it is a mistake, and refused.
        """
        known = cls().fields.keys() & query.keys()
        if not known:
            return {}
        unknown = {
            name: [serializers.ErrorDetail("There is no such parameter.", "unknown")]
            for name in query.keys() - known
        }
        parameters = cls(data=query.dict())
        if not parameters.is_valid() or unknown:
            raise ValidationError(dict(parameters.errors) | unknown)
        return parameters.validated_data

    def validate(self, parameters):
        if "cursor" in parameters and parameters["cursor"][0] != parameters.get("order", "created"):
            raise ValidationError({"cursor": "It belongs to another order."})
        return parameters


def find(mailboxes, parameters):
    """The mailboxes that the parameters ask for, all pages of them."""
    deleted = parameters.get("deleted", False)
    found = mailboxes.restorable().exclude(deleted_at=None) if deleted else mailboxes.active()
    if "search" in parameters:
        found = found.search(parameters["search"])
    if "has_password" in parameters:
        found = found.filter(password_sealed__isnull=not parameters["has_password"])
    fields = {
        "name": "name",
        "transcribe": "transcribe",
        "recipient": "email_recipients__email__iexact",
        "updated_since": "updated_at__gte",
    }
    for name, field in fields.items():
        if name in parameters:
            found = found.filter(**{field: parameters[name]})
    return found


class Page:
    """One page of an account's mailboxes that the parameters ask for, and the headers that say so."""

    def __init__(self, mailboxes, parameters):
        self.mailboxes = mailboxes
        self.order = parameters.get("order", "created")
        self.limit = parameters.get("limit")
        self.field = ORDERS[self.order.removeprefix("-")]
        sign = "-" if self.order.startswith("-") else ""
        self.fields = (f"{sign}{self.field}", f"{sign}uuid")
        found = find(mailboxes, parameters)
        self.total = found.count() if {"limit", "cursor"} & parameters.keys() else None
        if "cursor" in parameters:
            found = found.filter(self.after(*parameters["cursor"]))
        self.found, self.last = found, None
        if self.limit:
            places = found.order_by(*self.fields).values_list(self.field, "uuid")
            # One row more than asked for tells whether there is a next page.
            places = list(places[: self.limit + 1])
            if len(places) > self.limit:
                places.pop()
                self.last = places[-1]
            self.found = found.filter(uuid__in=[uuid for _value, uuid in places])

    def after(self, order, value, uuid) -> Q:
        """Past that place: by the row's own values, so that rows that come and go move nothing."""
        past = "lt" if order.startswith("-") else "gt"
        return Q(**{f"{self.field}__{past}": value}) | Q(
            **{self.field: value, f"uuid__{past}": uuid}
        )

    def rows(self):
        """The page's mailboxes, for `reading.listed`."""
        found = self.found.order_by().values("uuid")
        return rows(self.mailboxes.filter(uuid__in=found), *self.fields)

    def headers(self, address) -> dict:
        """Where the next page is and, where there are pages, how many mailboxes there are on all."""
        headers = {}
        if self.total is not None:
            headers["X-Total-Count"] = str(self.total)
        if self.last:
            value, uuid = self.last
            place = [self.order, value if isinstance(value, str) else value.isoformat(), uuid.hex]
            cursor = base64.urlsafe_b64encode(orjson.dumps(place)).decode()
            headers["Link"] = f'<{replace_query_param(address, "cursor", cursor)}>; rel="next"'
        return headers
