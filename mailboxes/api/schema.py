"""The OpenAPI document, with the contract's texts, examples and envelope."""

import json
from functools import cache
from typing import NamedTuple

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import NotAcceptable
from rest_framework.serializers import IntegerField

from mailboxes import contract
from mailboxes.api.exceptions import ContentTooLarge, PreconditionFailed, ServiceUnavailable
from mailboxes.api.idempotency import HEADER, WRONG_KEY, KeyUsedForAnother, StillRuns
from mailboxes.api.renderers import MEDIA_TYPE
from mailboxes.validators import INVISIBLE


class Command(NamedTuple):
    operation_id: str
    group: str
    summary: str
    description: str = ""


MAILBOXES, RECIPIENTS, AUTHENTICATION = "Mailboxes", "Email recipients", "Authentication"

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
    "X-Total-Count": "The number of mailboxes on all pages; not with changed_since",
    "Link": "The address of the next page, if there is one",
    "X-Changes-Cursor": "Only with changed_since: its value for the next call of the same list",
    "X-Pass-Code-Warning": "Why the pass code sent is easy to guess, if it is. "
    "If PASS_CODE_POLICY is reject, such a new pass code is refused (400) instead",
    "Idempotency-Replayed": "true: this is the first answer to this key, sent again",
    "ETag": "The version of the content: it differs after each change of the mailbox or its recipients",
    "WWW-Authenticate": "How to send a credential",
    "X-Request-ID": "The identifier of this call in the service's log",
}
UNCOUNTED = {401, 406, 500, 503}  # answered before the call is counted, or without counting
IF_MATCH = "An ETag: refuse the command if the mailbox or its recipients have changed since"
IF_NONE_MATCH = "An ETag: answer 304 without a body if the content has not changed since"
KEY = "A key that the caller chooses for this call. Repeated with it within a day, it is done only once"
ACT_FOR = "The name of a customer of the account, direct or further down, to act for"

EMPTY = {"type": "object", "maxProperties": 0}

DESCRIPTIONS = {
    200: "The command succeeded.",
    201: "It has no updated_on, because it has never been updated.",
    204: "The answer has no body.",
    304: "The content still has the ETag in If-None-Match. The answer has no body.",
    400: "A field or parameter is missing or wrong, or the body is not a JSON object. "
    "The errors say what to correct.",
    401: "The credential is missing or wrong. The answer does not say which part is wrong.",
    403: "The credential is good, but the call comes from outside its networks, "
    "or without HTTPS, or X-Auth-For does not name a customer of its account.",
    404: "The account has no mailbox or recipient with this UUID.",
    406: f"The Accept header does not include {MEDIA_TYPE}.",
    409: "The account has as many active mailboxes as it may have; or the mailbox has this address "
    "already, or as many recipients as it may have; or the first call with this Idempotency-Key is still running.",
    412: "The mailbox or its recipients have changed since the ETag in If-Match. Read it again.",
    413: f"The body is larger than {contract.MAX_BODY_BYTES // 1024} KiB.",
    415: f"The body has another content type than {MEDIA_TYPE}.",
    422: "The Idempotency-Key was used for another call.",
    429: "The credential has reached its limit of calls. Retry-After says when to call again.",
    500: "The service has failed. The error is in its log, under the X-Request-ID.",
    503: "The database does not answer, or the service is busy. Retry-After says when to call again.",
}

# Code and message in the examples of errors.
ERRORS = {
    400: ("blank", "This field may not be blank."),
    406: (NotAcceptable.default_code, NotAcceptable.default_detail),
    409: ("unique", "This mailbox already has that address."),
    412: (PreconditionFailed.default_code, PreconditionFailed.default_detail),
    413: (ContentTooLarge.default_code, ContentTooLarge.default_detail),
    415: ("unsupported_media_type", 'Unsupported media type "text/plain" in request.'),
    422: (KeyUsedForAnother.default_code, KeyUsedForAnother.default_detail),
    429: ("throttled", "Request was throttled. Expected available in 17 seconds."),
    503: (ServiceUnavailable.default_code, ServiceUnavailable.default_detail),
}
ABOUT_A_FIELD = {400, 409}
BAD_KEY = ("invalid", WRONG_KEY)
NO_NUMBER = ("invalid", IntegerField.default_error_messages["invalid"])
STILL_RUNS = (StillRuns.default_code, StillRuns.default_detail)

# The values of the hosted API's page. All examples are built from them.
EXAMPLES = {
    "account": "acme",
    "action": "changed",
    "after": {"password": contract.MASK, "transcribe": True},
    "at": "2023-06-02T12:00:00Z",
    "before": {"password": None, "transcribe": False},
    "beep": True,
    "created_on": "2023-06-02",
    "credential": "api",
    "email": "pete@example.com",
    "greeting": "63e54af8-07b5-4fd2-b15b-f4c31a82ca0b",
    "kind": "credential",
    "name": "Pete's Mailbox",
    # The page's own is weak. Where weak ones are refused, the samples must not have one.
    "password": "4829" if settings.PASS_CODE_POLICY == "reject" else "1234",  # noqa: S105  the policy's name
    "play_caller_id": True,
    "play_timestamp": True,
    "transcribe": True,
    "updated_on": "2023-06-02",
    "uuid": "31347d42-00bd-44a5-9b5c-20dc4197a2f6",
}

# Rules of validators that drf-spectacular cannot read. A name has a visible character, and no
# control character.
VISIBLE, PRINTABLE = rf"[^\s\x00-\x1f\x7f-\x9f{INVISIBLE}]", r"[^\x00-\x1f\x7f-\x9f]"
RULES = {
    "email": {"format": "email"},
    "name": {"pattern": f"^{PRINTABLE}*{VISIBLE}{PRINTABLE}*$"},
    "password": {"pattern": "^[0-9]{4}$"},
}
WITH_DEFAULTS = {"MailboxRequest"}  # of POST and PUT; with PATCH a field left out stays unchanged
HEADER_RULES = {"Idempotency-Key": {"pattern": r'^("[!#-\[\]-~]{1,255}"|[!#-\[\]-~]{1,255})$'}}
# A searched text is not blank (Python counts a few more characters as blank than \s) and has no NUL.
BLANK, TEXT, MORE = r"[\s\x1c-\x1f\x85]", r"[^\s\x00\x1c-\x1f\x85]", contract.MAX_SEARCH_WORDS - 1
SEARCHED = {key: {"pattern": rf"^[^\x00]*{TEXT}[^\x00]*$"} for key in ["name", "recipient"]}
SEARCHED["search"] = {"pattern": f"^{BLANK}*{TEXT}+(?:{BLANK}+{TEXT}+){{0,{MORE}}}{BLANK}*$"}


class CommandSchema(AutoSchema):
    @property
    def command(self) -> Command:
        return COMMANDS[f"{self.method} {self.path}"]

    def get_operation_id(self):
        return self.command.operation_id

    def get_tags(self):
        return [self.command.group]

    def get_summary(self):
        return self.command.summary

    def get_description(self):
        return self.command.description

    def get_override_parameters(self):
        noun = "Mailbox" if self.command.group == MAILBOXES else "email recipient"
        uuids = {
            "mailbox_uuid": "The UUID of the Mailbox",
            "uuid": f"The UUID of the {noun} to be {PARTICIPLES[self.method]}",
        }
        headers = {"X-Auth-For": ACT_FOR}
        if self.method == "POST":
            headers["Idempotency-Key"] = KEY
        if self.method != "GET" and "{" in self.path:  # a change of a mailbox
            headers["If-Match"] = IF_MATCH
        if self.method == "GET" and self.command.group != AUTHENTICATION:
            headers["If-None-Match"] = IF_NONE_MATCH
        return [
            OpenApiParameter(name, OpenApiTypes.UUID, OpenApiParameter.PATH, description=words)
            for name, words in uuids.items()
            if f"{{{name}}}" in self.path
        ] + [
            OpenApiParameter(
                name,
                {"type": "string"} | HEADER_RULES.get(name, {}),
                OpenApiParameter.HEADER,
                description=words,
            )
            for name, words in headers.items()
        ]

    def get_response_serializers(self):
        has_rows = hasattr(self.view, "get_serializer")
        return super().get_response_serializers() if has_rows else {200: EMPTY}


class CredentialScheme(OpenApiAuthenticationExtension):
    """Describe the two ways to send a credential: three headers, or a bearer token."""

    target_class = "mailboxes.api.authentication.CredentialAuthentication"
    name = ["reseller", "user", "password", "bearer"]

    def get_security_requirement(self, auto_schema):
        *headers, bearer = self.name
        return [{header: [] for header in headers}, {bearer: []}]

    def get_security_definition(self, auto_schema):
        return [
            {"type": "apiKey", "in": "header", "name": name, "description": words}
            for name, words in CREDENTIAL_HEADERS.items()
        ] + [{"type": "http", "scheme": "bearer", "description": "The same secret, alone"}]


def remove_trailing_slashes(endpoints):
    return [(path.rstrip("/"), *endpoint) for path, *endpoint in endpoints]


def complete_document(result, **kwargs):
    schemas = result["components"]["schemas"]
    complete_schemas(schemas)
    result["tags"] = [{"name": group} for group in (MAILBOXES, RECIPIENTS, AUTHENTICATION)]
    for path, operations in result["paths"].items():
        for operation in operations.values():
            ((status, response),) = operation["responses"].items()
            parameters = {parameter["name"] for parameter in operation["parameters"]}
            answers = {int(status): describe_success(int(status), response, schemas)}
            if "If-None-Match" in parameters:
                answers[304] = {"description": DESCRIPTIONS[304]}
            for error in list_error_statuses(path, operation, parameters):
                answers[error] = describe_error(error, operation)
            operation["responses"] = {
                str(status): answer | {"headers": describe_headers(status, operation, parameters)}
                for status, answer in answers.items()
            }
            if "requestBody" in operation:  # an object without a required field is required too
                operation["requestBody"]["required"] = True
            for body in operation.get("requestBody", {}).get("content", {}).values():
                body["example"] = build_example(body["schema"], schemas)
            for parameter in operation["parameters"]:
                parameter["schema"] |= SEARCHED.get(parameter["name"], {})
                if parameter["in"] == "path":
                    parameter["example"] = EXAMPLES["uuid"]
    return result


def complete_schemas(schemas):
    """Add examples and rules to the schemas; add schemas of created rows and of errors."""
    for name, schema in list(schemas.items()):
        for key, field in schema["properties"].items():
            field |= RULES.get(key, {})
            if key in EXAMPLES:
                field["examples"] = [EXAMPLES[key]]
            # Some generators make a field with a default mandatory, so a text says it instead.
            default = field.pop("default", None)
            if default is not None and name in WITH_DEFAULTS:
                field["description"] += f" (default: {json.dumps(default)})"
        if not name.endswith("Request"):
            schemas[name] = schema | exact_object(schema["properties"])
            if "updated_on" in schema["properties"]:
                schemas[f"New{name}"] = remove_updated_on(schema)
    one_error = exact_object({"code": {"type": "string"}, "message": {"type": "string"}})
    schemas["Error"] = exact_object(
        {
            "result": EMPTY,
            "status_code": {"type": "integer"},
            "status_message": {"type": "string"},
            "errors": {
                "type": "object",
                "additionalProperties": {"type": "array", "items": one_error},
            },
        },
        optional={"errors"},
    )


def exact_object(properties, optional=()) -> dict:
    """Return the schema of an object with these keys, all but the optional ones required."""
    return {
        "type": "object",
        "properties": properties,
        "required": [key for key in properties if key not in optional],
        "additionalProperties": False,
    }


def remove_updated_on(schema) -> dict:
    """Return the schema of a created row: neither it nor its recipients have `updated_on`."""
    properties = {key: field for key, field in schema["properties"].items() if key != "updated_on"}
    if "email_recipients" in properties:
        items = {"$ref": "#/components/schemas/NewRecipientOfMailbox"}
        properties["email_recipients"] = properties["email_recipients"] | {"items": items}
    return schema | exact_object(properties)


def list_error_statuses(path, operation, parameters) -> list[int]:
    has_body = "requestBody" in operation
    is_possible = {
        400: has_body or bool({"cursor", "Idempotency-Key"} & parameters),
        401: True,
        403: True,
        404: "{" in path,
        406: True,
        409: "Idempotency-Key" in parameters or (has_body and RECIPIENTS in operation["tags"]),
        412: "If-Match" in parameters,
        413: has_body,
        415: has_body,
        422: "Idempotency-Key" in parameters,
        429: True,
        500: True,
        503: True,
    }
    return [status for status, possible in is_possible.items() if possible]


def describe_headers(status, operation, parameters) -> dict:
    is_success = status < 300
    is_sent = {
        "ETag": status in (200, 201, 304) and AUTHENTICATION not in operation["tags"],
        "Idempotency-Replayed": is_success and "Idempotency-Key" in parameters,
        "Link": is_success and "cursor" in parameters,
        "RateLimit": status not in UNCOUNTED,
        "RateLimit-Policy": status not in UNCOUNTED,
        "Retry-After": status in (429, 503),
        "WWW-Authenticate": status == 401,
        "X-Changes-Cursor": is_success and "changed_since" in parameters,
        "X-Pass-Code-Warning": is_success and operation["operationId"] in SET_PASS_CODE,
        "X-Request-ID": True,
        "X-Total-Count": is_success and "order" in parameters,
    }
    return {
        name: {"description": RESPONSE_HEADERS[name], "schema": {"type": "string"}}
        for name, sent in is_sent.items()
        if sent
    }


def describe_success(status, response, schemas) -> dict:
    if status == 204:
        return {"description": DESCRIPTIONS[status]}
    result = response["content"][MEDIA_TYPE]["schema"]
    if status == 201:
        result = {"$ref": result["$ref"].replace("schemas/", "schemas/New")}
    schema = exact_object(
        {
            "result": result,
            "status_code": {"type": "integer", "const": status},
            "status_message": {"type": "string", "const": contract.status_message(status)},
        }
    )
    return describe_json(status, schema, build_example(schema, schemas))


def describe_error(status, operation) -> dict:
    field = "email" if RECIPIENTS in operation["tags"] else "name"
    if status not in ABOUT_A_FIELD:
        field = "non_field_errors"
    errors = None
    if status in ERRORS:
        code, message = ERRORS[status]
        if status == 409 and field == "name":
            field, (code, message) = "non_field_errors", STILL_RUNS
        if status == 400 and operation["operationId"] == "restore_mailbox":
            field, (code, message) = HEADER, BAD_KEY
        if status == 400 and operation["operationId"] == "get_history":
            field, (code, message) = "limit", NO_NUMBER
        errors = {field: [{"code": code, "message": str(message)}]}
    return describe_json(
        status, {"$ref": "#/components/schemas/Error"}, contract.envelope(status, errors=errors)
    )


def describe_json(status, schema, example) -> dict:
    return {
        "description": DESCRIPTIONS[status],
        "content": {MEDIA_TYPE: {"schema": schema, "example": example}},
    }


def build_example(schema, schemas):
    if "allOf" in schema:  # a reference with its own description
        return build_example(schema["allOf"][0], schemas)
    if "$ref" in schema:
        return build_example(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    if "const" in schema:
        return schema["const"]
    if "examples" in schema:
        return schema["examples"][0]
    if schema["type"] == "array":
        return [build_example(schema["items"], schemas)]
    properties = schema.get("properties", {})
    return {key: build_example(field, schemas) for key, field in properties.items()}


@cache
def get_document() -> dict:
    """Return the OpenAPI document, built once in each process."""
    return SchemaGenerator().get_schema(public=True)
