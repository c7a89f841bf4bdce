"""Conditional requests (RFC 9110, section 13): an entity tag on what is served, and writes that refuse to overwrite."""

from hashlib import sha256

from django.utils.cache import get_conditional_response
from django.utils.http import parse_etags, quote_etag

from mailboxes.api.exceptions import PreconditionFailed
from mailboxes.models import EmailRecipient, Mailbox


def entity_tag(row: Mailbox | EmailRecipient) -> str:
    """The mailbox's version: a change of a recipient is a change of its mailbox."""
    mailbox = row if isinstance(row, Mailbox) else row.mailbox
    return tag_of(mailbox.version)


def tag_of(version: int | str) -> str:
    """The entity tag of a mailbox at this version."""
    return f'"{version}"'


def tag_of_content(content: bytes) -> str:
    """The entity tag of what has no version of its own."""
    return quote_etag(sha256(content).hexdigest()[:32])


def refuse_if_changed(request, row) -> None:
    """Raises PreconditionFailed where If-Match or If-None-Match says so. The caller holds the row locked."""
    # Django takes an If-Match without a good tag for none: that would overwrite, quietly.
    wanted = request.headers.get("If-Match")
    is_broken = wanted is not None and not parse_etags(wanted)
    if is_broken or judged(request, entity_tag(row)) is not None:
        raise PreconditionFailed


def judged(request, tag: str, response=None):
    """What Django makes of the conditions. By date there is none: nothing tells callers when a row has changed.

    Such a condition is to be ignored (RFC 9110, 13.1.4); Django takes it for one that failed.
    """
    request.META.pop("HTTP_IF_UNMODIFIED_SINCE", None)
    return get_conditional_response(request, tag, response=response)


def answer_if_changed(request, response):
    """A rendered answer to GET, or 304 to a caller who has it already. What has no tag yet gets its content's."""
    if not response.has_header("ETag"):
        response["ETag"] = tag_of_content(response.content)
    answer = judged(request, response["ETag"], response)
    request.throttle.tell(answer)  # Django's 304 is a new answer
    return answer
