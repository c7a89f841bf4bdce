"""Byte ranges (RFC 9110, section 14), with which players seek."""

import re

from django.http import HttpResponse

# One range. Others, and several at once, are ignored, as RFC 9110, 14.2 allows.
RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})\Z", re.ASCII | re.IGNORECASE)


class UnsatisfiableRangeError(Exception):
    """The range begins after the end. `headers` has the size."""

    def __init__(self, size: int):
        super().__init__()
        self.headers = {"Content-Range": f"bytes */{size}"}


def parse_range(header: str, size: int) -> range | None:
    """Return the requested range of bytes, or None for all. Raises UnsatisfiableRangeError."""
    match = RANGE.match(header.strip())
    if not match or match.groups() == ("", ""):
        return None
    first, last = match.groups()
    if first == "":  # the last bytes, so many
        found = range(max(size - int(last), 0), size)
    else:
        if last and int(last) < int(first):
            return None
        found = range(int(first), min(int(last) + 1, size) if last else size)
    if not found:
        raise UnsatisfiableRangeError(size)
    return found


def answer_with_range(request, content: bytes, etag: str, content_type: str) -> HttpResponse:
    """Return the content, or the wanted part of it. Raises UnsatisfiableRangeError."""
    headers = {"Accept-Ranges": "bytes", "ETag": etag}
    is_current = request.headers.get("If-Range", etag) == etag
    wanted = request.headers.get("Range", "") if request.method == "GET" and is_current else ""
    part = parse_range(wanted, len(content))
    if part is None:
        return HttpResponse(content, content_type=content_type, headers=headers)
    headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{len(content)}"
    return HttpResponse(
        content[part.start : part.stop], content_type=content_type, status=206, headers=headers
    )
