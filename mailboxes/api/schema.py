"""The OpenAPI document, with the contract's texts, examples and envelope."""

import json
import re
from functools import cache

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import SchemaGenerator
from drf_spectacular.openapi import AutoSchema
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter

from mailboxes import contract
from mailboxes.api.renderers import MEDIA_TYPE
from mailboxes.api.schema_texts import (
    ABOUT_A_FIELD,
    ACT_FOR,
    COMMANDS,
    CREDENTIAL_HEADERS,
    DESCRIPTIONS,
    DESCRIPTIONS_OF,
    EMPTY,
    ERRORS,
    ERRORS_OF,
    EXAMPLES,
    GROUPS,
    IF_MATCH,
    IF_MATCH_MESSAGE,
    IF_MATCH_SOUND,
    IF_MATCH_WEBHOOK,
    IF_NONE_MATCH,
    IF_RANGE,
    KEY,
    MAILBOXES,
    MESSAGES,
    PARTICIPLES,
    RANGE,
    RECIPIENTS,
    RESPONSE_HEADERS,
    SET_PASS_CODE,
    SOUNDS,
    STILL_RUNS,
    UNCOUNTED,
    WEBHOOKS,
    Command,
)
from mailboxes.audio.recordings import MEDIA_TYPE as AUDIO
from mailboxes.validators import INVISIBLE

# Rules of validators that drf-spectacular cannot read. A name has a visible character, and no
# control character.
VISIBLE, PRINTABLE = rf"[^\s\x00-\x1f\x7f-\x9f{INVISIBLE}]", r"[^\x00-\x1f\x7f-\x9f]"
NAME = f"{PRINTABLE}*{VISIBLE}{PRINTABLE}*"
RULES = {
    "call_id": {"pattern": f"^({NAME})?$"},
    "caller_id_name": {"pattern": f"^({NAME})?$"},
    "caller_id_number": {"pattern": f"^({NAME})?$"},
    "email": {"format": "email"},
    "name": {"pattern": f"^{NAME}$"},
    "password": {"pattern": "^[0-9]{4}$"},
    "tag": {"pattern": f"^({NAME})?$"},
    "url": {"format": "uri"},
}
REQUIRED = {"PatchedHeardRequest": ["heard"]}  # although it is for PATCH
WITHOUT_ETAG = {"change_messages", "check_credentials", "get_content_url"}
KEEPS_UPDATED_ON = re.compile("Sound|Webhook")  # also in the answer to a create
WITH_DEFAULTS = {"MailboxRequest"}  # of POST and PUT; with PATCH a field left out stays unchanged
HEADER_RULES = {"Idempotency-Key": {"pattern": r'^("[!#-\[\]-~]{1,255}"|[!#-\[\]-~]{1,255})$'}}
# A searched text is not blank (Python counts a few more characters as blank than \s) and has no NUL.
BLANK, TEXT, MORE = r"[\s\x1c-\x1f\x85]", r"[^\s\x00\x1c-\x1f\x85]", contract.MAX_SEARCH_WORDS - 1
SEARCHED = {key: {"pattern": rf"^[^\x00]*{TEXT}[^\x00]*$"} for key in ["name", "recipient"]}
SEARCHED["tag"] = {"pattern": f"^{NAME}$"}
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
        noun = {MAILBOXES: "Mailbox", MESSAGES: "message", SOUNDS: "sound"}.get(
            self.command.group, "email recipient"
        )
        uuids = {
            "mailbox_uuid": "The UUID of the Mailbox",
            "uuid": f"The UUID of the {noun} to be {PARTICIPLES[self.method]}",
            "id": "The id of the event to be sent again",
        }
        if self.command.group == WEBHOOKS:
            uuids["uuid"] = "The UUID of the webhook"
        headers = {"X-Auth-For": ACT_FOR}
        if self.method == "POST":
            headers["Idempotency-Key"] = KEY
        if self.command.group == MESSAGES:
            if self.method != "GET" and "{uuid}" in self.path:
                headers["If-Match"] = IF_MATCH_MESSAGE
        elif self.command.group == SOUNDS:
            if self.method != "GET" and "{uuid}" in self.path:
                headers["If-Match"] = IF_MATCH_SOUND
        elif self.command.group == WEBHOOKS:
            if self.method != "GET" and "{uuid}" in self.path and "{id}" not in self.path:
                headers["If-Match"] = IF_MATCH_WEBHOOK
        elif self.method != "GET" and "{" in self.path:  # a change of a mailbox
            headers["If-Match"] = IF_MATCH
        if self.method == "GET" and self.command.operation_id not in WITHOUT_ETAG:
            headers["If-None-Match"] = IF_NONE_MATCH
        if self.command.operation_id == "get_recording":
            headers |= {"Range": RANGE, "If-Range": IF_RANGE}
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
    result["tags"] = [
        {"name": group} | ({"description": text} if text else {}) for group, text in GROUPS.items()
    ]
    for path, operations in result["paths"].items():
        for operation in operations.values():
            parameters = {parameter["name"] for parameter in operation["parameters"]}
            answers = {
                int(status): describe_success(int(status), response, operation, schemas)
                for status, response in operation["responses"].items()
            }
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
    """Add examples, patterns and required keys to the schemas, in place.

    Add the schemas of answers to a create, and the schema `Error`.
    """
    for name, schema in list(schemas.items()):
        for key, field in schema["properties"].items():
            field |= RULES.get(key, {})
            field.pop("x-spec-enum-id", None)
            if key in EXAMPLES and EXAMPLES[key] in field.get("enum", [EXAMPLES[key]]):
                field["examples"] = [EXAMPLES[key]]
            elif "enum" in field:
                field["examples"] = field["enum"][:1]
            # Some generators make a field with a default mandatory, so a text says it instead.
            default = field.pop("default", None)
            if default is not None and name in WITH_DEFAULTS:
                field["description"] += f" (default: {json.dumps(default)})"
        if name in REQUIRED:
            schema["required"] = REQUIRED[name]
        if not name.endswith("Request"):
            schemas[name] = schema | exact_object(schema["properties"])
            if "updated_on" in schema["properties"] and not KEEPS_UPDATED_ON.match(name):
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
    """Return the schema of an answer to a create: without `updated_on`, also in recipients."""
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
        409: "Idempotency-Key" in parameters
        or (has_body and RECIPIENTS in operation["tags"])
        or operation["operationId"] in ("change_sound", "delete_sound"),
        412: "If-Match" in parameters,
        413: has_body,
        415: has_body,
        416: "Range" in parameters,
        422: "Idempotency-Key" in parameters,
        429: True,
        500: True,
        503: True,
        507: operation["operationId"] in ("add_message", "restore_message"),
    }
    return [status for status, possible in is_possible.items() if possible]


def describe_headers(status, operation, parameters) -> dict:
    is_success = status < 300
    is_recording = operation["operationId"] == "get_recording" and status in (200, 206)
    is_page = status == 200 and operation["operationId"] == "list_messages"
    is_counted = status == 200 and operation["operationId"] in ("list_messages", "list_sounds")
    is_sent = {
        "Accept-Ranges": is_recording,
        "Content-Range": status in (206, 416),
        "ETag": status in (200, 201, 206, 304) and operation["operationId"] not in WITHOUT_ETAG,
        "Idempotency-Replayed": is_success and "Idempotency-Key" in parameters,
        "Link": is_success and "cursor" in parameters,
        "RateLimit": status not in UNCOUNTED,
        "RateLimit-Policy": status not in UNCOUNTED,
        "Retry-After": status in (429, 503),
        "WWW-Authenticate": status == 401,
        "X-Changes-Cursor": is_success and "changed_since" in parameters,
        "X-Pass-Code-Warning": is_success and operation["operationId"] in SET_PASS_CODE,
        "X-Request-ID": True,
        "X-Total-Count": is_counted or (is_success and "order" in parameters),
        "X-Unheard-Count": is_page,
    }
    return {
        name: {"description": RESPONSE_HEADERS[name], "schema": {"type": "string"}}
        for name, sent in is_sent.items()
        if sent
    }


def describe_success(status, response, operation, schemas) -> dict:
    command = operation["operationId"]
    text = DESCRIPTIONS_OF.get((command, status)) or DESCRIPTIONS[status]
    if status == 204 or AUDIO in response["content"]:
        return response | {"description": text}
    result = response["content"][MEDIA_TYPE]["schema"]
    if status == 201 and not {MESSAGES, SOUNDS, WEBHOOKS}.intersection(operation["tags"]):
        result = {"$ref": result["$ref"].replace("schemas/", "schemas/New")}
    if status == 200 and command == "add_message":
        result = {"anyOf": [result, EMPTY]}
    schema = exact_object(
        {
            "result": result,
            "status_code": {"type": "integer", "const": status},
            "status_message": {"type": "string", "const": contract.status_message(status)},
        }
    )
    return describe_json(text, schema, build_example(schema, schemas))


def describe_error(status, operation) -> dict:
    field = "email" if RECIPIENTS in operation["tags"] else "name"
    if status not in ABOUT_A_FIELD:
        field = "non_field_errors"
    errors = None
    if status in ERRORS:
        code, message = ERRORS[status]
        if status == 409 and field == "name":
            field, (code, message) = "non_field_errors", STILL_RUNS
        if (operation["operationId"], status) in ERRORS_OF:
            field, (code, message) = ERRORS_OF[operation["operationId"], status]
        errors = {field: [{"code": code, "message": str(message)}]}
    return describe_json(
        DESCRIPTIONS[status],
        {"$ref": "#/components/schemas/Error"},
        contract.envelope(status, errors=errors),
    )


def describe_json(text, schema, example) -> dict:
    return {
        "description": text,
        "content": {MEDIA_TYPE: {"schema": schema, "example": example}},
    }


def build_example(schema, schemas):
    if "examples" in schema:
        return schema["examples"][0]
    for several in ("allOf", "anyOf"):  # allOf: a reference with its own description
        if several in schema:
            return build_example(schema[several][0], schemas)
    if "$ref" in schema:
        return build_example(schemas[schema["$ref"].rpartition("/")[2]], schemas)
    if "const" in schema:
        return schema["const"]
    if schema["type"] == "array":
        return [build_example(schema["items"], schemas)]
    properties = schema.get("properties", {})
    return {key: build_example(field, schemas) for key, field in properties.items()}


@cache
def get_document() -> dict:
    """Return the OpenAPI document, built once in each process."""
    return SchemaGenerator().get_schema(public=True)
