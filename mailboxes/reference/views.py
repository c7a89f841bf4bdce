"""The API reference, the page to try calls, and the page on telephone engines."""

import json
from functools import wraps

from django.shortcuts import render
from django.template.loader import render_to_string
from django.views.decorators.gzip import gzip_page
from django.views.decorators.http import require_safe

from mailboxes import contract, sample_configuration
from mailboxes.api.parsers import FORM_TYPE
from mailboxes.api.schema import get_document
from mailboxes.api.schema_texts import EXAMPLES, RESPONSE_HEADERS

# The order of commands in a group, as on the hosted API's page.
METHODS = ["get", "post", "put", "patch", "delete"]

# Headers of nearly every answer, which the page explains in separate sections.
EXPLAINED_ONCE = {"RateLimit", "RateLimit-Policy", "X-Request-ID"}

FILES = ("recording", "file")  # the fields of forms that are files

GOOD_CODE = "4829"  # the pass code of the published examples is weak

# Each has a template in templates/reference/samples/.
LANGUAGES = {"curl": "curl", "python": "Python", "javascript": "JavaScript", "php": "PHP"}

# The keys of LANGUAGES, so that a visitor chooses once. Each has a template in receivers/.
RECEIVERS = LANGUAGES | {"curl": "Shell"}


def compress_for_strangers(view):
    """Compress the page unless the visitor is signed in.

    A signed-in visitor's page has a name and a form's token (see docs/operations.md).
    """
    compressed = gzip_page(view)

    @wraps(view)
    def choose(request):
        return view(request) if request.user.is_authenticated else compressed(request)

    return choose


@require_safe
@compress_for_strangers
def reference(request):
    schema = get_document()
    commands = build_commands(schema)
    credential = credential_headers(schema, commands[0])
    for command in commands:
        command["samples"] = render_samples(request, command, credential)
    answers = {answer["status"]: answer for command in commands for answer in command["answers"]}
    context = {
        "info": schema["info"],
        "groups": group_commands(schema, commands),
        "headers": credential,
        "environment": render_sample("environment", {"headers": credential}),
        "errors": [answers[status] for status in sorted(answers) if status >= 400],
        "common": common_errors(commands),
        "host": request.build_absolute_uri("/").rstrip("/"),
        "receivers": [
            (language, title, render_to_string(f"reference/receivers/{language}.txt").strip())
            for language, title in RECEIVERS.items()
        ],
    }
    return render(request, "reference/reference.html", context)


@require_safe
@compress_for_strangers
def connect(request):
    host = request.build_absolute_uri("/").rstrip("/")
    engines = sample_configuration.fill_in_samples(host)
    return render(request, "reference/connect.html", {"engines": engines})


@require_safe
@compress_for_strangers
def try_commands(request):
    schema = get_document()
    commands = build_commands(schema)
    context = {
        "groups": group_commands(schema, commands),
        "headers": credential_headers(schema, commands[0]),
        "answer_headers": RESPONSE_HEADERS,
    }
    return render(request, "reference/try.html", context)


def build_commands(schema) -> list[dict]:
    return [
        build_command(schema, path, method, operations[method])
        for method in METHODS
        for path, operations in schema["paths"].items()
        if method in operations
    ]


def group_commands(schema, commands) -> list[tuple]:
    return [
        (
            tag["name"],
            tag.get("description", ""),
            [command for command in commands if tag["name"] in command["tags"]],
        )
        for tag in schema["tags"]
    ]


def build_command(schema, path, method, operation) -> dict:
    in_path = parameters_in("path", operation)
    body = json_content(operation.get("requestBody", {}))
    form = operation.get("requestBody", {}).get("content", {}).get(FORM_TYPE)
    return operation | {
        "method": method.upper(),
        "path": path,
        "address": path.format(
            **{parameter["name"]: parameter["example"] for parameter in in_path}
        ),
        "in_url": add_types(in_path + parameters_in("query", operation)),
        "in_header": add_types(
            parameter
            for parameter in parameters_in("header", operation)
            if not is_credential_header(parameter)
        ),
        "fields": build_fields(schema, (form or body)["schema"]) if form or body else [],
        "body": format_json(body["example"]) if body else "",
        "form": format_form(form["example"]) if form else {},
        "file_field": next((name for name in FILES if form and name in form["example"]), ""),
        "is_recording": operation["operationId"] == "get_recording",
        "answers": [build_answer(int(status), r) for status, r in operation["responses"].items()],
    }


def format_form(example: dict) -> dict[str, str]:
    """Return the fields of a form, which has only texts."""
    return {
        name: json.dumps(value) if isinstance(value, bool) else value
        for name, value in example.items()
    }


def common_errors(commands) -> list[int]:
    """Return the error statuses that all commands share, which the page explains once."""
    each = ({answer["status"] for answer in command["answers"]} for command in commands)
    return sorted(status for status in set.intersection(*each) if status >= 400)


def build_fields(schema, body) -> list[dict]:
    body = schema["components"]["schemas"][body["$ref"].rpartition("/")[2]]
    return [
        field
        | {
            "in": "form",
            "name": name,
            "type": format_type(field),
            "required": name in body.get("required", []),
        }
        for name, field in body["properties"].items()
    ]


def add_types(parameters) -> list[dict]:
    return [parameter | {"type": format_type(parameter["schema"])} for parameter in parameters]


def format_type(schema) -> str:
    """Return `string`, `string or null`, `true or false`, `date or date-time` and so on."""
    if schema.get("format") == "binary":
        return "file"
    kinds = schema.get("enum") or schema.get("type") or [one["format"] for one in schema["anyOf"]]
    return kinds if isinstance(kinds, str) else " or ".join(kinds)


def build_answer(status, response) -> dict:
    """Return a documented response for the page, with its example.

    204 has no body: its example is what a client library returns, as on the hosted API's page.
    """
    example = json_content(response).get("example", contract.envelope(status))
    return {
        "has_body": status == 204 or bool(json_content(response)),
        "status": status,
        "phrase": contract.status_message(status),
        "description": response["description"],
        "headers": {
            name: header
            for name, header in response["headers"].items()
            if name not in EXPLAINED_ONCE
        },
        "body": format_json(example),
    }


def credential_headers(schema, operation) -> list[dict]:
    """Return the required headers of a credential, then the optional ones."""
    schemes = schema["components"]["securitySchemes"]
    credential = [
        schemes[name] | {"required": True, "variable": f"MAILBOXES_{name.upper()}"}
        for name in operation["security"][0]
    ]
    return credential + [p for p in parameters_in("header", operation) if is_credential_header(p)]


def render_samples(request, command, headers) -> list[tuple]:
    context = {
        "method": command["method"],
        "host": request.build_absolute_uri("/").rstrip("/"),
        "name": request.get_host(),
        "connection": "HTTPSConnection" if request.is_secure() else "HTTPConnection",
        "address": command["address"],
        "headers": [header for header in headers if "variable" in header],
        "body": command["body"],
        "form": command["form"],
        "file_field": command["file_field"],
        "file_name": command["form"].get(command["file_field"]),
        "is_recording": command["is_recording"],
        "has_answer": "204" not in command["responses"],
    }
    return [
        (language, title, render_sample(language, context)) for language, title in LANGUAGES.items()
    ]


def render_sample(name, context) -> str:
    return render_to_string(f"reference/samples/{name}.txt", context).strip()


def parameters_in(place, operation) -> list[dict]:
    """Return the operation's parameters in this place: `path`, `query` or `header`."""
    return [parameter for parameter in operation["parameters"] if parameter["in"] == place]


def is_credential_header(header) -> bool:
    return header["name"].startswith("X-Auth-")


def json_content(message) -> dict:
    return message.get("content", {}).get("application/json", {})


def format_json(value) -> str:
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return text.replace(f'"{EXAMPLES["password"]}"', f'"{GOOD_CODE}"')
