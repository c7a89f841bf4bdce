"""Conditional requests (RFC 9110, section 13): ETag, If-Match, If-None-Match, 304 and 412."""

from collections.abc import Mapping
from hashlib import sha256

from django.utils.cache import get_conditional_response
from django.utils.http import parse_etags, quote_etag

from mailboxes.api.exceptions import PreconditionFailed, WeakETag
from mailboxes.models import EmailRecipient, Mailbox, Message, Sound, WebhookEndpoint

LIST_HEADERS = ("Link", "X-Changes-Cursor", "X-Total-Count", "X-Unheard-Count")
NO_HEADERS: Mapping[str, str] = {}


def get_etag(row: Mailbox | EmailRecipient | Message | Sound | WebhookEndpoint) -> str:
    """Return the ETag of a row, made from its version; for a recipient, its mailbox's.

    Changing a recipient raises the version of its mailbox.
    """
    if isinstance(row, Message | Sound | WebhookEndpoint):
        return f'"{row.version}"'
    mailbox = row if isinstance(row, Mailbox) else row.mailbox
    return format_etag(mailbox.version, mailbox.has_lost_pass_code)


def format_etag(version: int | str, is_lost: bool) -> str:
    """Return another ETag while the pass code is shown as null because its key is missing.

    Otherwise a program that read null could send it back after the key was found, and remove it.
    """
    return f'"{version}-lost"' if is_lost else f'"{version}"'


def hash_to_etag(content: bytes, headers: Mapping[str, str] = NO_HEADERS) -> str:
    """Return the ETag of content that has no version, such as a list: a hash.

    It covers the headers that say more about the list, because a 304 answer leaves them out.
    """
    return digest_to_etag(sha256(content), headers)


def digest_to_etag(digest, headers: Mapping[str, str]) -> str:
    """Do the same as `hash_to_etag` from the SHA-256 digest of the content."""
    for name in LIST_HEADERS:
        if name in headers:
            digest.update(f"\n{name}: {headers[name]}".encode())
    return quote_etag(digest.hexdigest()[:32])


def refuse_if_changed(request, row) -> None:
    """Raise PreconditionFailed if If-Match or If-None-Match fails. Call with the row locked."""
    if_match = request.headers.get("If-Match")
    tags = parse_etags(if_match or "")
    # Django treats an If-Match without a valid tag as absent, which would overwrite silently.
    is_malformed = if_match is not None and not tags
    if is_malformed or evaluate_conditions(request, get_etag(row)) is not None:
        raise WeakETag if any(tag.startswith("W/") for tag in tags) else PreconditionFailed


def evaluate_conditions(request, etag: str, response=None):
    """Return 304 or 412 if If-Match or If-None-Match fails, else the response.

    Answers have no Last-Modified, so If-Unmodified-Since must be ignored (RFC 9110, 13.1.4);
    Django would treat it as failed.
    """
    request.META.pop("HTTP_IF_UNMODIFIED_SINCE", None)
    return get_conditional_response(request, etag, response=response)


def apply_conditions(request, response):
    """Return the rendered response to GET, with an ETag; or 304 if the caller has it already."""
    if not response.has_header("ETag"):
        response["ETag"] = hash_to_etag(response.content, response.headers)
    conditional = evaluate_conditions(request, response["ETag"], response)
    request.throttle.add_headers(conditional)  # Django's 304 is a new response
    return conditional
