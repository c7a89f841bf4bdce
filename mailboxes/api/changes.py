"""The list of an account's changed mailboxes, in pages, for programs that keep a copy."""

import base64
from typing import NamedTuple
from uuid import UUID

import orjson
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.utils.urls import replace_query_param

from mailboxes.api.lists import render_text
from mailboxes.api.representation import mailbox_json
from mailboxes.db.json import Concatenated
from mailboxes.models import ChangeFeed

MAX_LIMIT = 1000
START = "0"
COMBINABLE = {"changed_since", "deleted", "limit"}
NO_UUID = UUID(int=0)


class Cursor(NamedTuple):
    """All with smaller numbers were listed, and those with this number up to the UUID."""

    feed: UUID
    deleted: bool
    removed: int  # the feed's number of this name when the program started its copy
    number: int
    uuid: UUID

    def __str__(self):
        parts = [self.feed.hex, self.deleted, self.removed, self.number, self.uuid.hex]
        return base64.urlsafe_b64encode(orjson.dumps(parts)).decode()

    @classmethod
    def parse(cls, text) -> "Cursor":
        """Decode a cursor. Raises ValueError, TypeError or AttributeError for another text."""
        feed, deleted, removed, number, uuid = orjson.loads(base64.urlsafe_b64decode(text))
        if not isinstance(removed, int) or not isinstance(number, int):
            raise ValueError
        return cls(UUID(feed), deleted is True, removed, number, UUID(uuid))


@extend_schema_field({"type": "string"})
class ChangesCursorField(serializers.CharField):
    """Decode the X-Changes-Cursor of an answer. The value is None for the start."""

    default_error_messages = {
        "invalid": f"Use {START} to start, or the X-Changes-Cursor of the previous answer.",
        "other_list": "It belongs to the list with another value of deleted.",
        "outdated": "Changes since then are not known, because the data was restored from a backup "
        "or deleted mailboxes were removed for good; or it belongs to another account. "
        f"Start a new copy with {START}.",
    }

    def to_internal_value(self, data):
        if data == START:
            return None
        try:
            return Cursor.parse(data)
        except (ValueError, TypeError, AttributeError):
            self.fail("invalid")


def refuse(code):
    error = serializers.ErrorDetail(ChangesCursorField.default_error_messages[code], code)
    raise serializers.ValidationError({"changed_since": [error]})


def check_combination(parameters) -> None:
    """Raise ValidationError naming each parameter that would hide changes."""
    if wrong := parameters.keys() - COMBINABLE:
        message = "It cannot be combined with changed_since, which lists all changes."
        raise serializers.ValidationError({name: [message] for name in sorted(wrong)})


def has_missed_removals(account, since: Cursor) -> bool:
    """Return True if deleted mailboxes that the program has not seen were removed for good.

    Call this after the list is read, since mailboxes may be removed before.
    """
    seen = max(since.number - 1, since.removed)
    return ChangeFeed.objects.filter(account=account, removed__gt=seen).exists()


def list_changed_mailboxes(account, parameters, url) -> tuple[orjson.Fragment, dict]:
    """Return one page of changed mailboxes as JSON, and headers. Raises ValidationError.

    It is read from the primary, where the changes are numbered.
    """
    cursor, deleted = parameters["changed_since"], parameters.get("deleted", False)
    limit = parameters.get("limit", MAX_LIMIT)
    feed = ChangeFeed.read(account, limit)
    since = cursor or Cursor(feed.uuid, deleted, feed.removed, 0, NO_UUID)
    if since.feed != feed.uuid or not 0 <= since.number <= feed.last + 1:
        refuse("outdated")
    if since.deleted != deleted:
        refuse("other_list")
    changed = account.mailboxes.filter(
        deleted_at__isnull=not deleted, change_number__range=(since.number, feed.last)
    ).exclude(change_number=since.number, uuid__lte=since.uuid)
    columns = ("change_number", "uuid")
    rows = changed.order_by(*columns).values_list(*columns, Concatenated(*mailbox_json()))
    rows = list(rows[: limit + 1])  # one more shows that there is a next page
    if deleted and has_missed_removals(account, since):
        refuse("outdated")
    if len(rows) > limit:
        del rows[limit:]
        number, uuid, _text = rows[-1]
        following = since._replace(number=number, uuid=uuid)
    else:
        following = since._replace(number=feed.last + 1, uuid=NO_UUID)
    headers = {"X-Changes-Cursor": str(following)}
    if feed.has_more or following.number <= feed.last:
        link = replace_query_param(url, "changed_since", str(following))
        headers["Link"] = f'<{link}>; rel="next"'
    texts = ",".join(text for _number, _uuid, text in rows)
    result, _count = render_text(f"[{texts}]".encode())
    return result, headers
