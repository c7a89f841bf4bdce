"""Constants and rules of the wire contract. Imports nothing of this project."""

import re
from functools import cache
from http import HTTPStatus

MAX_BODY_BYTES = 1024 * 1024
MAX_DISCARDED_BYTES = 16 * 1024 * 1024
MAX_NAME_LENGTH = 100
MAX_RECIPIENTS = 50
MAX_NUMBER_LENGTH = 64  # of a caller: a SIP address may stand for a number
MAX_CALL_ID_LENGTH = 255
MAX_RECORDING_BYTES = 20 * 1024 * 1024
MAX_RECORDING_SECONDS = 15 * 60
MAX_BULK_MESSAGES = 100
MAX_SEARCH_LENGTH = 254  # characters, as in an email address
MAX_SEARCH_WORDS = 10

SAFE_METHODS = {"GET", "HEAD", "OPTIONS", "TRACE"}  # RFC 9110, 9.2.1

RETRY_SECONDS = 5  # sent in Retry-After while the database does not answer

MASK = "••••"  # shown instead of a pass code

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

MESSAGE_KEYS = (
    "caller_id_name",
    "caller_id_number",
    "duration",
    "heard",
    "received_at",
    "transcription",
    "transcription_status",
    "uuid",
)

WEBHOOK_KEYS = (
    "created_on",
    "events",
    "include_customers",
    "is_active",
    "updated_on",
    "url",
    "uuid",
)

WEBHOOK_EVENTS = (
    "message.received",
    "message.transcribed",
    "message.deleted",
    "mailbox.created",
    "mailbox.updated",
    "mailbox.deleted",
    "mailbox.restored",
)
TEST_EVENT = "webhook.test"  # sent by the console's button, whatever events a webhook has
MAX_WEBHOOKS = 20  # of an account

SOUND_KEYS = (
    "audio_type",
    "created_on",
    "file_name",
    "name",
    "shared",
    "tag",
    "updated_on",
    "uuid",
)
DEFAULT_TAG = "Greeting"
MAX_SOUNDS = 1000  # of an account
MAX_SOUND_SECONDS = 90
MAX_SOUND_TEXT = 1000  # characters that a voice reads
MAX_TAG_LENGTH = 64
MAX_FILE_NAME_LENGTH = 255

RECIPIENT_KEYS = ("created_on", "updated_on", "uuid")  # of a recipient inside its mailbox

READ_ONLY_KEYS = {"created_on", "email_recipients", "updated_on", "uuid"}

# Answers with these statuses have no `errors`: details would be useless, or help an attacker.
STATUSES_WITHOUT_ERRORS = {401, 403, 404, 405, 500}

# RFC 9110's phrases where Python's older ones differ.
RFC_9110_PHRASES = {
    413: "Content Too Large",
    414: "URI Too Long",
    416: "Range Not Satisfiable",
    422: "Unprocessable Content",
}

UUID_TEXT = "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"

# Resources of the hosted API that this service does not have.
EMPTY_LISTS = ("flow", "group", "phone-book", "queue-group", "user")
MAILBOXES = "voip/mailbox"
WEBHOOKS = "voip/webhook"
SOUNDS = "voip/sound"
MAILBOX_PATH = re.compile(
    rf"/{MAILBOXES}(?:/(?P<uuid>{UUID_TEXT}))?/?\Z"
)  # the list, or one mailbox
MESSAGES_PATH = re.compile(rf"/+{MAILBOXES}/{UUID_TEXT}/messages/?\Z")
SOUNDS_PATH = re.compile(rf"/+{SOUNDS}(?:/{UUID_TEXT})?/?\Z")  # the list, or one sound

# First parts of paths, by caller.
API, HEALTH = "voip|authenticated", "healthz|readyz"
ENGINES = "(?i:asterisk|freeswitch|sounds)"  # the configuration of an engine may use capitals

API_PATH = re.compile(rf"/+({API})(/|\Z)")  # a base address may end with a slash
ENGINE_PATH = re.compile(rf"/+{ENGINES}(/|\Z)")
HEALTH_PATH = re.compile(rf"/({HEALTH})\Z")
ENGINE_UPDATE = "/update"  # Asterisk appends it to the configured address


def is_api_path(path: str) -> bool:
    return API_PATH.match(path) is not None


def is_engine_path(path: str) -> bool:
    """Return True for paths of telephone engines.

    Their errors have no body, which Asterisk could read as a mailbox.
    """
    return ENGINE_PATH.match(path) is not None


def is_engine_update(path: str) -> bool:
    """Return True for the path of Asterisk's pass code update, an engine's only write."""
    return is_engine_path(path) and path.endswith(ENGINE_UPDATE)


def is_health_path(path: str) -> bool:
    return HEALTH_PATH.match(path) is not None


def is_machine_path(path: str) -> bool:
    """Return True for paths of programs, which neither sign in nor follow redirects."""
    return is_api_path(path) or is_engine_path(path)


@cache
def status_message(status: int) -> str:
    """Return the reason phrase of RFC 9110, in every version of Python."""
    return RFC_9110_PHRASES.get(status) or HTTPStatus(status).phrase


def envelope(status: int, result=None, errors=None) -> dict:
    """Return an answer's JSON envelope. It has the key `errors` only if there are any."""
    body = {
        "result": {} if result is None else result,
        "status_code": status,
        "status_message": status_message(status),
    }
    if errors:
        body["errors"] = errors
    return body
