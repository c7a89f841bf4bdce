"""Texts and examples of the OpenAPI document."""

from typing import NamedTuple

from django.conf import settings
from rest_framework.exceptions import NotAcceptable
from rest_framework.serializers import ChoiceField, Field, IntegerField

from mailboxes import contract
from mailboxes.api.changes import MAX_LIMIT
from mailboxes.api.exceptions import (
    ContentTooLarge,
    MailboxFull,
    OfReseller,
    PreconditionFailed,
    RangeNotSatisfiable,
    ServiceUnavailable,
)
from mailboxes.api.idempotency import HEADER, WRONG_KEY, KeyUsedForAnother, StillRuns
from mailboxes.api.parsers import FORM_TYPE
from mailboxes.api.renderers import MEDIA_TYPE
from mailboxes.audio.decoding import NO_AUDIO
from mailboxes.audio.recordings import describe_seconds
from mailboxes.http.bodies import RECORDING_TOO_LARGE
from mailboxes.models.messages import MailboxFullError


class Command(NamedTuple):
    operation_id: str
    group: str
    summary: str
    description: str = ""


MAILBOXES, RECIPIENTS, MESSAGES = "Mailboxes", "Email recipients", "Messages"
SOUNDS = "Sounds"
WEBHOOKS = "Webhooks"
AUTHENTICATION = "Authentication"

GROUPS = {
    MAILBOXES: "",
    RECIPIENTS: "",
    MESSAGES: "What callers leave in a mailbox. No public page of the hosted API describes "
    "messages: this part is our own.",
    SOUNDS: "Greetings, which callers hear before they leave a message. The hosted API's page describes "
    "the list, a sound and content-url. How files come in, change and go is our own. The answer to a "
    "DELETE has no body, as HTTP wants: read the status from the answer, not from its body.",
    WEBHOOKS: "Addresses that events are sent to when they happen, signed as Standard Webhooks 1.0 "
    "prescribes. This part is our own, too.",
    AUTHENTICATION: "",
}

COMMANDS = {
    "GET /voip/mailbox": Command(
        "list_mailboxes", MAILBOXES, "Gets all active mailboxes on an account"
    ),
    "GET /voip/mailbox/{uuid}": Command(
        "get_mailbox", MAILBOXES, "Gets the details for a specific mailbox on an account"
    ),
    "POST /voip/mailbox": Command("create_mailbox", MAILBOXES, "Creates a new Mailbox"),
    "PUT /voip/mailbox/{uuid}": Command(
        "update_mailbox",
        MAILBOXES,
        "Updates the specified mailbox",
        "Takes the whole mailbox: a field left out goes back to its default.",
    ),
    "PATCH /voip/mailbox/{uuid}": Command(
        "change_mailbox",
        MAILBOXES,
        "Changes some fields of the specified mailbox",
        "Changes only what is sent: a field left out stays unchanged.",
    ),
    "DELETE /voip/mailbox/{uuid}": Command(
        "delete_mailbox", MAILBOXES, "Deletes the specified mailbox"
    ),
    "GET /voip/mailbox/{uuid}/history": Command(
        "get_history",
        MAILBOXES,
        "Gets the changes of a mailbox, the newest first, in pages",
        "A page may have few changes, or none, and still not be the last: follow its Link header. "
        "A deleted mailbox has a history too, as long as it can be restored. Pass codes are masked.",
    ),
    "POST /voip/mailbox/{uuid}/restore": Command(
        "restore_mailbox",
        MAILBOXES,
        "Restores a deleted mailbox",
        "It comes back with its settings and recipients. A mailbox that is not deleted stays unchanged.",
    ),
    "GET /voip/mailbox/{mailbox_uuid}/email-recipient": Command(
        "list_recipients", RECIPIENTS, "Gets all email recipients of a mailbox"
    ),
    "GET /voip/mailbox/{mailbox_uuid}/email-recipient/{uuid}": Command(
        "get_recipient", RECIPIENTS, "Gets the details for a specific email recipient of a mailbox"
    ),
    "POST /voip/mailbox/{mailbox_uuid}/email-recipient": Command(
        "add_recipient",
        RECIPIENTS,
        "Adds an email recipient to a mailbox",
        f"A mailbox has at most {contract.MAX_RECIPIENTS} recipients, and each address once.",
    ),
    "PUT /voip/mailbox/{mailbox_uuid}/email-recipient/{uuid}": Command(
        "update_recipient", RECIPIENTS, "Updates the specified email recipient"
    ),
    "DELETE /voip/mailbox/{mailbox_uuid}/email-recipient/{uuid}": Command(
        "delete_recipient", RECIPIENTS, "Deletes the specified email recipient"
    ),
    "GET /voip/mailbox/{mailbox_uuid}/messages": Command(
        "list_messages",
        MESSAGES,
        "Gets the messages of a mailbox, the newest first, in pages",
        f"Follow the Link header to the next page. Without a limit, a page has {MAX_LIMIT:,} messages.",
    ),
    "GET /voip/mailbox/{mailbox_uuid}/messages/{uuid}": Command(
        "get_message", MESSAGES, "Gets the details for a specific message of a mailbox"
    ),
    "GET /voip/mailbox/{mailbox_uuid}/messages/{uuid}/recording": Command(
        "get_recording",
        MESSAGES,
        "Gets the recording of a message, or a part of it",
        "A WAV file that every browser plays. HEAD answers with the same headers and no body. "
        "Reading it does not mark the message as heard.",
    ),
    "POST /voip/mailbox/{mailbox_uuid}/messages": Command(
        "add_message",
        MESSAGES,
        "Adds a message to a mailbox: a form with a recording",
        "The recording may be WAV (PCM, µ-law, A-law or GSM), MP3, Ogg (Opus or Vorbis), FLAC, WebM or "
        f"M4A, at most {contract.MAX_RECORDING_BYTES // 1024**2} MiB and "
        f"{describe_seconds(settings.MESSAGE_MAX_SECONDS)}. Its content decides, not its name or type. "
        f"One that is shorter than {describe_seconds(settings.MESSAGE_MIN_SECONDS)} is not kept: the "
        "answer is 200 with an empty result. When the answer is 201, the message is on disk.",
    ),
    "POST /voip/mailbox/{mailbox_uuid}/messages/bulk": Command(
        "change_messages",
        MESSAGES,
        "Marks, deletes or restores several messages of a mailbox",
        f"At most {contract.MAX_BULK_MESSAGES} in one call. If some cannot be changed, the others are: "
        "the answer names both.",
    ),
    "POST /voip/mailbox/{mailbox_uuid}/messages/{uuid}/restore": Command(
        "restore_message",
        MESSAGES,
        "Restores a deleted message",
        f"For {settings.RETENTION_DAYS} days. A message that is not deleted stays unchanged.",
    ),
    "PATCH /voip/mailbox/{mailbox_uuid}/messages/{uuid}": Command(
        "mark_message", MESSAGES, "Marks a message as heard, or as not heard"
    ),
    "DELETE /voip/mailbox/{mailbox_uuid}/messages/{uuid}": Command(
        "delete_message", MESSAGES, "Deletes the specified message"
    ),
    "GET /voip/sound": Command(
        "list_sounds",
        SOUNDS,
        "Gets all sounds of an account, the newest first",
        "With those that its resellers share. If there are more than a page has, follow its Link header.",
    ),
    "GET /voip/sound/{uuid}": Command(
        "get_sound", SOUNDS, "Gets the details for a specific sound of an account"
    ),
    "GET /voip/sound/{uuid}/content-url": Command(
        "get_content_url",
        SOUNDS,
        "Gets a temporary address of the audio",
        "It opens for ten minutes, without a credential, and takes Range.",
    ),
    "POST /voip/sound": Command(
        "create_sound",
        SOUNDS,
        "Creates a new sound: a form with a file",
        "The file may be WAV (PCM, µ-law, A-law or GSM), MP3, Ogg (Opus or Vorbis), FLAC, WebM or M4A, at "
        f"most {contract.MAX_RECORDING_BYTES // 1024**2} MiB and {contract.MAX_SOUND_SECONDS} seconds. Its "
        "content decides, not its name or type. Silence at both ends is cut, and the loudness levelled. "
        "Instead of a form, the body may be a JSON object with name, file_name and content: the file in "
        f"base64. An account has at most {contract.MAX_SOUNDS:,} sounds.",
    ),
    "POST /voip/sound/{uuid}/restore": Command(
        "restore_sound",
        SOUNDS,
        "Restores a deleted sound",
        f"For {settings.RETENTION_DAYS} days. A sound that is not deleted stays unchanged.",
    ),
    "PATCH /voip/sound/{uuid}": Command(
        "change_sound",
        SOUNDS,
        "Changes some fields of the specified sound, or replaces its audio",
        "A form, or JSON. Changes only what is sent: a field left out stays unchanged. A new file replaces "
        "the audio: the next caller hears it.",
    ),
    "DELETE /voip/sound/{uuid}": Command(
        "delete_sound",
        SOUNDS,
        "Deletes the specified sound",
        "While mailboxes use it, the answer is 409 and names them.",
    ),
    "GET /voip/webhook": Command("list_webhooks", WEBHOOKS, "Gets all webhooks of an account"),
    "GET /voip/webhook/{uuid}": Command(
        "get_webhook", WEBHOOKS, "Gets the details for a specific webhook"
    ),
    "GET /voip/webhook/{uuid}/deliveries": Command(
        "list_deliveries",
        WEBHOOKS,
        "Gets the events that were sent to a webhook in the last 30 days, the newest first, in pages",
        "Follow the Link header to the next page.",
    ),
    "POST /voip/webhook": Command(
        "create_webhook",
        WEBHOOKS,
        "Creates a new webhook",
        f"The answer has its secret: store it. An account has at most {contract.MAX_WEBHOOKS} webhooks.",
    ),
    "POST /voip/webhook/{uuid}/rotate": Command(
        "rotate_secret",
        WEBHOOKS,
        "Gives a webhook a new secret",
        "For 24 hours the one before signs too, so that receivers can change over.",
    ),
    "POST /voip/webhook/{uuid}/deliveries/{id}/replay": Command(
        "replay_delivery",
        WEBHOOKS,
        "Sends an event again",
        "With the same webhook-id, and again after failures.",
    ),
    "PATCH /voip/webhook/{uuid}": Command(
        "change_webhook",
        WEBHOOKS,
        "Changes some fields of the specified webhook, or switches it on or off",
        "Changes only what is sent: a field left out stays unchanged.",
    ),
    "DELETE /voip/webhook/{uuid}": Command(
        "delete_webhook", WEBHOOKS, "Deletes the specified webhook and its list of sent events"
    ),
    "GET /authenticated": Command(
        "check_credentials", AUTHENTICATION, "Says whether credentials are good"
    ),
}

PARTICIPLES = {
    "GET": "queried",
    "POST": "restored",
    "PUT": "updated",
    "PATCH": "changed",
    "DELETE": "deleted",
}

CREDENTIAL_HEADERS = {
    "X-Auth-Reseller": "The account's name",
    "X-Auth-User": "The credential's name within that account",
    "X-Auth-Password": "The credential's secret",
}
SET_PASS_CODE = {"create_mailbox", "update_mailbox", "change_mailbox"}
RESPONSE_HEADERS = {
    "RateLimit": "The calls that the credential has left (r), and the seconds until the limit resets (t)",
    "RateLimit-Policy": "The calls that a credential may make (q) in a number of seconds (w)",
    "Retry-After": "The seconds to wait",
    "X-Total-Count": "The number of mailboxes, messages or sounds on all pages; not with changed_since",
    "X-Unheard-Count": "The number of messages in the mailbox that have not been heard",
    "Accept-Ranges": "bytes: parts can be read with Range",
    "Content-Range": "Which bytes of the recording these are, and its size",
    "Link": "The address of the next page, if there is one",
    "X-Changes-Cursor": "Only with changed_since: its value for the next call of the same list",
    "X-Pass-Code-Warning": "Why the pass code sent is easy to guess, if it is. "
    "If PASS_CODE_POLICY is reject, such a new pass code is refused (400) instead",
    "Idempotency-Replayed": "true: this is the first answer to this key, sent again",
    "ETag": "The version of the content: it differs after each change of the message, sound or webhook, or "
    "of the mailbox or its recipients",
    "WWW-Authenticate": "How to send a credential",
    "X-Request-ID": "The identifier of this call in the service's log",
}
UNCOUNTED = {401, 406, 500, 503}  # answered before the call is counted, or without counting
IF_MATCH = "An ETag: refuse the command if the mailbox or its recipients have changed since"
IF_MATCH_MESSAGE = "An ETag: refuse the command if the message has changed since"
IF_MATCH_SOUND = "An ETag: refuse the command if the sound has changed since"
IF_MATCH_WEBHOOK = "An ETag: refuse the command if the webhook has changed since"
IF_NONE_MATCH = "An ETag: answer 304 without a body if the content has not changed since"
KEY = "A key that the caller chooses for this call. Repeated with it within a day, it is done only once"
RANGE = "The part to read, such as bytes=0-65535. Several parts at once are ignored"
IF_RANGE = "An ETag: ignore Range if the recording has another one"
ACT_FOR = "The name of a customer of the account, direct or further down, to act for"

EMPTY = {"type": "object", "maxProperties": 0}

DESCRIPTIONS = {
    200: "The command succeeded.",
    201: "It has no updated_on, because it has never been updated.",
    202: "It is sent within seconds.",
    204: "The answer has no body.",
    304: "The content still has the ETag in If-None-Match. The answer has no body.",
    400: "A field or parameter is missing or wrong, or the body is not a JSON object or a form. "
    "The errors say what to correct.",
    401: "The credential is missing or wrong. The answer does not say which part is wrong.",
    403: "The credential is good, but the call comes from outside its networks, "
    "or without HTTPS, or X-Auth-For does not name a customer of its account.",
    404: "The account has no mailbox, recipient, message, sound or webhook with this UUID.",
    406: f"The Accept header does not include {MEDIA_TYPE}.",
    409: "The account has as many active mailboxes as it may have; or the mailbox has this address "
    "already, or as many recipients as it may have; or the account has as many webhooks or sounds as it may "
    "have; or the webhook is switched off; or mailboxes use the sound, or it belongs to a reseller; or the "
    "first call with this Idempotency-Key is still running.",
    412: "The mailbox or its recipients, the message, sound or webhook have changed since the ETag in If-Match. "
    "Read it again.",
    413: f"The body is larger than {contract.MAX_BODY_BYTES // 1024} KiB, or the recording is larger than "
    f"{contract.MAX_RECORDING_BYTES // 1024**2} MiB.",
    415: f"The body has another content type than {MEDIA_TYPE} or, for a recording, {FORM_TYPE}; "
    "or it is compressed.",
    416: "The range begins after the end of the recording. Content-Range has its size.",
    422: "The Idempotency-Key was used for another call.",
    429: "The credential has reached its limit of calls. Retry-After says when to call again.",
    500: "The service has failed. The error is in its log, under the X-Request-ID.",
    503: "The database does not answer, or the service is busy. Retry-After says when to call again.",
    507: "The mailbox has as many messages as it may have: delete some.",
}
# Of single commands, where the texts above do not fit.
DESCRIPTIONS_OF = {
    (
        "add_message",
        200,
    ): "The message of the same call_id, stored earlier. Or an empty result: the "
    "recording is too short to be kept.",
    ("add_message", 201): "The message is stored.",
    ("create_sound", 201): "The sound is stored.",
    ("create_webhook", 201): "The webhook with its secret, which cannot be read later.",
    ("rotate_secret", 200): "The webhook with its new secret, which cannot be read later.",
    ("get_recording", 200): "The whole recording, as audio/wav.",
    ("get_recording", 206): "The part of the recording that Range names, as audio/wav.",
}

# Code and message in the examples of errors.
ERRORS = {
    400: ("blank", "This field may not be blank."),
    406: (NotAcceptable.default_code, NotAcceptable.default_detail),
    409: ("unique", "This mailbox already has that address."),
    412: (PreconditionFailed.default_code, PreconditionFailed.default_detail),
    413: (ContentTooLarge.default_code, ContentTooLarge.default_detail),
    415: ("unsupported_media_type", 'Unsupported media type "text/plain" in request.'),
    416: (RangeNotSatisfiable.default_code, RangeNotSatisfiable.default_detail),
    422: (KeyUsedForAnother.default_code, KeyUsedForAnother.default_detail),
    429: ("throttled", "Request was throttled. Expected available in 17 seconds."),
    503: (ServiceUnavailable.default_code, ServiceUnavailable.default_detail),
    507: (MailboxFull.default_code, str(MailboxFullError())),
}
ABOUT_A_FIELD = {400, 409}
BAD_KEY = ("invalid", WRONG_KEY)
NO_NUMBER = ("invalid", IntegerField.default_error_messages["invalid"])
NO_HEARD = ("required", Field.default_error_messages["required"])
NO_CHOICE = (
    "invalid_choice",
    ChoiceField.default_error_messages["invalid_choice"].format(input="burn"),
)
OF_RESELLER = (OfReseller.default_code, OfReseller.default_detail)
SOUND_IN_USE = (
    "in_use",
    "A mailbox uses this greeting: “Pete's Mailbox”. Choose another greeting for it first.",
)
PRIVATE_URL = ("private", "This address is in a private network, which webhooks do not reach.")
# The field, code and message in the examples of single commands, where those above do not fit.
ERRORS_OF = {
    ("add_message", 400): ("recording", ("invalid", NO_AUDIO)),
    ("add_message", 413): ("recording", (ContentTooLarge.default_code, RECORDING_TOO_LARGE)),
    ("change_messages", 400): ("action", NO_CHOICE),
    ("change_sound", 400): ("file", ("invalid", NO_AUDIO)),
    ("change_sound", 413): ("file", (ContentTooLarge.default_code, RECORDING_TOO_LARGE)),
    ("create_sound", 400): ("file", ("invalid", NO_AUDIO)),
    ("create_sound", 413): ("file", (ContentTooLarge.default_code, RECORDING_TOO_LARGE)),
    ("change_sound", 409): ("non_field_errors", OF_RESELLER),
    ("delete_sound", 409): ("non_field_errors", SOUND_IN_USE),
    ("list_sounds", 400): ("limit", NO_NUMBER),
    ("restore_sound", 400): (HEADER, BAD_KEY),
    ("change_webhook", 400): ("url", PRIVATE_URL),
    ("create_webhook", 400): ("url", PRIVATE_URL),
    ("list_deliveries", 400): ("limit", NO_NUMBER),
    ("replay_delivery", 400): (HEADER, BAD_KEY),
    ("rotate_secret", 400): (HEADER, BAD_KEY),
    ("get_history", 400): ("limit", NO_NUMBER),
    ("list_messages", 400): ("limit", NO_NUMBER),
    ("mark_message", 400): ("heard", NO_HEARD),
    ("restore_mailbox", 400): (HEADER, BAD_KEY),
    ("restore_message", 400): (HEADER, BAD_KEY),
}
STILL_RUNS = (StillRuns.default_code, StillRuns.default_detail)

# The values of the hosted API's page, as far as it has them. All examples are built from them.
EXAMPLE_UUID = "31347d42-00bd-44a5-9b5c-20dc4197a2f6"
EXAMPLES = {
    "account": "acme",
    "action": "changed",
    "answer": "thanks",
    "attempted_at": "2023-06-02T12:00:01Z",
    "attempts": 1,
    "after": {"password": contract.MASK, "transcribe": True},
    "at": "2023-06-02T12:00:00Z",
    "before": {"password": None, "transcribe": False},
    "audio_type": 1,
    "beep": True,
    "call_id": "1685707200.17@pbx.example.com",
    "caller_id_name": "Ann Smith",
    "caller_id_number": "+442079460000",
    "content_url": "https://mailboxes.example.com/sounds/content/63e54af8-07b5-4fd2-b15b-f4c31a82ca0b:1q5Gye:bqsNzI8",
    "created_at": "2023-06-02T12:00:00Z",
    "created_on": "2023-06-02",
    "credential": "api",
    "done": [EXAMPLE_UUID],
    "duration": 12,
    "email": "pete@example.com",
    "event": "message.received",
    "events": ["message.received", "message.transcribed"],
    "failed": [{"uuid": "7d1f6c0e-3a55-4c6b-9a0e-52f3b8a7d9c4", "code": "not_found"}],
    "file": "greeting.wav",
    "file_name": "greeting.wav",
    "greeting": "63e54af8-07b5-4fd2-b15b-f4c31a82ca0b",
    "heard": True,
    "id": EXAMPLE_UUID,
    "include_customers": False,
    "is_active": True,
    "kind": "credential",
    "name": "Pete's Mailbox",
    # The page's own is weak. Where weak ones are refused, the samples must not have one.
    "next_attempt_at": None,
    "password": "4829" if settings.PASS_CODE_POLICY == "reject" else "1234",  # noqa: S105  the policy's name
    "play_caller_id": True,
    "play_timestamp": True,
    "received_at": "2023-06-02T12:00:00Z",
    "recording": "message.wav",
    "secret": "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",  # of the specification
    "shared": False,
    "state": "delivered",
    "status": 200,
    "tag": contract.DEFAULT_TAG,
    "transcribe": True,
    "transcription": "Please call me back about the order.",
    "transcription_status": "done",
    "updated_on": "2023-06-02",
    "url": "https://example.com/voicemail",
    "uuid": EXAMPLE_UUID,
    "uuids": [EXAMPLE_UUID],
}
