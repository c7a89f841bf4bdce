"""Filters, sorting and pages of the list of mailboxes, and pages of a history."""

import base64
from collections.abc import Generator
from datetime import UTC, datetime, time
from uuid import UUID

import orjson
from django.db.models import Q, QuerySet
from django.utils.dateparse import parse_date, parse_datetime
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.exceptions import ValidationError
from rest_framework.utils.urls import replace_query_param

from mailboxes.api.changes import MAX_LIMIT, ChangesCursorField, check_combination
from mailboxes.api.lists import CHUNK_SIZE
from mailboxes.api.representation import select_texts
from mailboxes.contract import MAX_NAME_LENGTH, MAX_SEARCH_LENGTH
from mailboxes.models.searching import validate_search
from mailboxes.validators import normalize_address

HISTORY_LIMIT = 100  # if there is no parameter
MAX_VERSION = 2**31 - 1  # of a column in PostgreSQL
MAX_UNKNOWN = 10  # parameters that an error names
ORDERS = {"created": "created_at", "name": "name", "updated": "updated_at"}


class YesOrNoField(serializers.ChoiceField):
    """A query parameter that is `true` or `false`."""

    def __init__(self, **kwargs):
        super().__init__(choices=["true", "false"], **kwargs)

    def to_internal_value(self, data):
        return super().to_internal_value(data) == "true"


@extend_schema_field(
    {"anyOf": [{"type": "string", "format": kind} for kind in ("date", "date-time")]}
)
class MomentField(serializers.Field):
    """A date, which means its start in UTC, or a date and time."""

    default_error_messages = {
        "invalid": "Use a date, or a date and time: 2023-06-02 or 2023-06-02T12:00:00Z."
    }

    def to_internal_value(self, data) -> datetime:
        try:
            return parse_moment(data)
        except (ValueError, OverflowError, TypeError):  # TypeError: a file, in a form
            self.fail("invalid")


def parse_moment(text) -> datetime:
    """Parse a date and time, or a date: its start in UTC. Raises ValueError, OverflowError."""
    moment = parse_datetime(text) or parse_date(text)
    if moment is None:
        raise ValueError
    if not isinstance(moment, datetime):
        moment = datetime.combine(moment, time.min)
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)


def refuse_nul(text) -> str:
    """Return the text. Raises ValueError if it has NUL, which PostgreSQL rejects."""
    if "\0" in text:
        raise ValueError
    return text


class CursorField(serializers.CharField):
    """Decode a cursor of `Page.headers`: the order, and the last row's sort value and UUID."""

    default_error_messages = {"invalid": "Use a cursor from the Link header of the previous page."}

    def to_internal_value(self, data):
        try:
            # Python's own parser would raise RecursionError on deep nesting.
            order, value, uuid = orjson.loads(base64.urlsafe_b64decode(data))
            is_name = ORDERS[order.removeprefix("-")] == "name"
            return order, (refuse_nul if is_name else parse_moment)(value), UUID(uuid)
        except (ValueError, OverflowError, KeyError, TypeError, AttributeError):
            self.fail("invalid")


class NewestFirstCursorField(serializers.CharField):
    """Decode a cursor of `cut_page`: the time and UUID of the page's last row."""

    default_error_messages = {"invalid": "Use a cursor from the Link header of the previous page."}

    def to_internal_value(self, data):
        try:
            moment, uuid = orjson.loads(base64.urlsafe_b64decode(data))
            return parse_moment(moment), UUID(uuid)
        except (ValueError, OverflowError, TypeError, AttributeError):
            self.fail("invalid")


def cut_page(rows: QuerySet, parameters: dict, most: int, time: str) -> tuple[list, str]:
    """Return a page of rows, which are ordered newest first, and the next page's cursor or "".

    `most` is the number of rows without a `limit`, and `time` the field that orders them.
    """
    if "cursor" in parameters:
        rows = rows.older_than(*parameters["cursor"])  # type: ignore[attr-defined]
    limit = parameters.get("limit", most)
    page = list(rows[: limit + 1])  # one more shows that there is a next page
    if len(page) <= limit:
        return page, ""
    last = page[limit - 1]
    key = orjson.dumps([getattr(last, time).isoformat(), last.uuid.hex])
    return page[:limit], base64.urlsafe_b64encode(key).decode()


class QueryParameters(serializers.Serializer):
    """Base of a command's query parameters."""

    @classmethod
    def parse(cls, query) -> dict:
        """Return the valid parameters. Raises ValidationError naming each wrong one.

        Unknown parameters alone are ignored, since existing clients send some. Together with
        a known one they are a mistake, and refused.
        """
        known = cls().fields.keys() & query.keys()
        if not known:
            return {}
        unknown = {
            name: [serializers.ErrorDetail("There is no such parameter.", "unknown")]
            for name in sorted(query.keys() - known)[:MAX_UNKNOWN]
        }
        parameters = cls(data=query.dict())
        if not parameters.is_valid() or unknown:
            raise ValidationError(dict(parameters.errors) | unknown)
        return parameters.validated_data


class HistoryParameters(QueryParameters):
    """Query parameters of a mailbox's history, which always has pages."""

    limit = serializers.IntegerField(
        default=HISTORY_LIMIT,
        min_value=1,
        max_value=MAX_LIMIT,
        help_text="How many versions of the mailbox a page covers: each change makes one",
    )
    cursor = serializers.IntegerField(
        required=False,
        min_value=1,
        max_value=MAX_VERSION,
        help_text="The end of the previous page, from its Link header",
    )


class ListParameters(QueryParameters):
    """Query parameters of the list of mailboxes. Without any, all the account's are listed."""

    search = serializers.CharField(
        required=False,
        max_length=MAX_SEARCH_LENGTH,
        help_text="Words, each of them in the name, the account's name, a recipient's address or, "
        "from 6 hexadecimal digits on, the UUID; in any case, with or without accents",
    )
    name = serializers.CharField(
        required=False, max_length=MAX_NAME_LENGTH, help_text="The whole name"
    )
    transcribe = YesOrNoField(required=False, help_text="Whether messages are transcribed")
    has_password = YesOrNoField(required=False, help_text="Whether there is a pass code")
    recipient = serializers.CharField(
        required=False, max_length=MAX_SEARCH_LENGTH, help_text="A recipient's whole address"
    )
    updated_since = MomentField(
        required=False,
        help_text="Only mailboxes created or updated since this date or time. This misses updates "
        "that are still being written: to keep a copy, use changed_since",
    )
    changed_since = ChangesCursorField(
        required=False,
        help_text="All mailboxes changed since this cursor, the X-Changes-Cursor of the previous "
        "answer; 0 starts with all mailboxes. It can be combined with deleted and limit only",
    )
    deleted = YesOrNoField(
        required=False,
        help_text="true: only deleted mailboxes that can be restored, at most 1000 on a page",
    )
    order = serializers.ChoiceField(
        required=False,
        choices=[sign + order for order in ORDERS for sign in ("", "-")],
        help_text="The field to sort by; with a minus, descending",
    )
    limit = serializers.IntegerField(
        required=False, min_value=1, max_value=MAX_LIMIT, help_text="The size of a page"
    )
    cursor = CursorField(
        required=False, help_text="The end of the previous page, from its Link header"
    )

    def validate(self, parameters):
        if "changed_since" in parameters:
            check_combination(parameters)
        if "cursor" in parameters and parameters["cursor"][0] != parameters.get("order", "created"):
            raise ValidationError({"cursor": "It belongs to a list in another order."})
        return parameters

    def validate_search(self, text):
        validate_search(text)
        return text

    def validate_recipient(self, address):
        return normalize_address(address)


def filter_mailboxes(mailboxes, parameters):
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
    """One page of an account's mailboxes, and its headers."""

    def __init__(self, mailboxes, parameters):
        self.mailboxes = mailboxes
        self.order = parameters.get("order", "created")
        # Deleted mailboxes always come in pages, because no quota limits their number.
        self.limit = parameters.get("limit", MAX_LIMIT if parameters.get("deleted") else None)
        self.field = ORDERS[self.order.removeprefix("-")]
        sign = "-" if self.order.startswith("-") else ""
        self.fields = (f"{sign}{self.field}", f"{sign}uuid")
        found = filter_mailboxes(mailboxes, parameters)
        self.total = found.count() if self.limit or "cursor" in parameters else None
        if "cursor" in parameters:
            found = found.filter(self.after_cursor(*parameters["cursor"]))
        self.found, self.last = found, None
        if self.limit:
            keys = found.order_by(*self.fields).values_list(self.field, "uuid")
            # One extra row shows that there is a next page.
            keys = list(keys[: self.limit + 1])
            if len(keys) > self.limit:
                keys.pop()
                self.last = keys[-1]
            self.found = found.filter(uuid__in=[uuid for _value, uuid in keys])

    def after_cursor(self, order, value, uuid) -> Q:
        # Compares values: an offset would shift when rows are added or removed.
        operator = "lt" if order.startswith("-") else "gt"
        return Q(**{f"{self.field}__{operator}": value}) | Q(
            **{self.field: value, f"uuid__{operator}": uuid}
        )

    def texts(self) -> Generator[str]:
        found = self.found.order_by().values("uuid")
        texts = select_texts(self.mailboxes.filter(uuid__in=found), *self.fields)
        return (text for text in texts) if self.limit else texts.iterator(CHUNK_SIZE)

    def headers(self, url) -> dict:
        """Return Link if there is a next page, and X-Total-Count if the list is in pages."""
        headers = {}
        if self.total is not None:
            headers["X-Total-Count"] = str(self.total)
        if self.last:
            value, uuid = self.last
            key = [self.order, value if isinstance(value, str) else value.isoformat(), uuid.hex]
            cursor = base64.urlsafe_b64encode(orjson.dumps(key)).decode()
            headers |= link_to_next(url, cursor)
        return headers


def link_to_next(url: str, cursor) -> dict:
    return {"Link": f'<{replace_query_param(url, "cursor", cursor)}>; rel="next"'}
