"""The words of the wire contract: its paths, envelope, phrases and limits. Imports nothing of ours."""

import re
from functools import cache
from http import HTTPStatus

MAX_BODY_BYTES = 1024 * 1024
MAX_DISCARDED_BYTES = 16 * 1024 * 1024
MAX_NAME_LENGTH = 100
MAX_RECIPIENTS = 50

RETRY_SECONDS = 5  # until a caller should try again while the database does not answer

MASK = "••••"  # stands for a pass code that is set, where the code itself is not shown

MAILBOX_KEYS = (
    "beep",
    "created_on",
    "email_recipients",
    "greeting",
    "name",
    "password",
    "play_caller_id",
    "play_timestamp",
    "transcribe",
    "updated_on",
    "uuid",
)

RECIPIENT_KEYS = ("created_on", "updated_on", "uuid")  # of a recipient inside its mailbox

READ_ONLY_KEYS = {"created_on", "email_recipients", "updated_on", "uuid"}

# What a caller did wrong and can mend is explained under `errors`; these
# statuses say all there is to say, or all a stranger may know.
UNEXPLAINED = {401, 403, 404, 405, 500}

# RFC 9110's phrases where Python's older ones differ.
RFC_9110_PHRASES = {
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
}

UUID_TEXT = "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"

MAILBOXES = "voip/mailbox"  # the path of them all; behind it, that of one
MAILBOX_PATH = re.compile(rf"/{MAILBOXES}(?:/(?P<uuid>{UUID_TEXT}))?/?\Z")  # of all, or of one

# What a path begins with, by who calls there.
API, HEALTH = "voip|authenticated", "healthz|readyz"
ENGINES = (
    "(?i:asterisk|freeswitch|sounds)"  # an engine may have been told to call there in its own way
)

API_PATH = re.compile(rf"/({API})(/|\Z)")
ENGINE_PATH = re.compile(rf"/+{ENGINES}(/|\Z)")
HEALTH_PATH = re.compile(rf"/({HEALTH})\Z")


def is_api_path(path: str) -> bool:
    """Whether an answer under this path wears the envelope."""
    return API_PATH.match(path) is not None


def is_engine_path(path: str) -> bool:
    """Whether a telephone engine calls there: what it is refused has no body that it could take for a mailbox."""
    return ENGINE_PATH.match(path) is not None


def is_health_path(path: str) -> bool:
    """Whether somebody there asks how the service is: neither logged nor counted."""
    return HEALTH_PATH.match(path) is not None


def is_machine_path(path: str) -> bool:
    """Whether programs call there, not browsers: nobody who signs in, or would follow a redirect."""
    return is_api_path(path) or is_engine_path(path)


@cache
def status_message(status: int) -> str:
    """The status's reason phrase in RFC 9110, whatever the Python."""
    return RFC_9110_PHRASES.get(status) or HTTPStatus(status).phrase


def envelope(status: int, result=None, errors=None) -> dict:
    """The body of an answer: `result`, `status_code`, `status_message`, and `errors` if there are any."""
    body = {
        "result": {} if result is None else result,
        "status_code": status,
        "status_message": status_message(status),
    }
    if errors:
        body["errors"] = errors
    return body
