"""The API reference: the OpenAPI document as a page to read; and how to connect a telephone engine."""

import json
from functools import cache

from django.shortcuts import render
from django.template.loader import render_to_string
from django.views.decorators.http import require_safe
from drf_spectacular.generators import SchemaGenerator

from mailboxes import contract, sample_configuration

# Within a group: what reads, then what makes, changes and deletes, as on the hosted API's page.
METHODS = ["get", "post", "put", "patch", "delete"]

# Headers of nearly every answer, which the page explains in sections of their own.
EXPLAINED_ONCE = {"RateLimit", "RateLimit-Policy", "X-Request-ID"}

# Of the samples: templates/reference/samples/ has a text for each.
LANGUAGES = {"curl": "curl", "python": "Python", "javascript": "JavaScript", "php": "PHP"}


@require_safe
def reference(request):
    """Every command, with samples that carry the reader's own host."""
    schema = document()
    commands = [
        as_shown(schema, path, method, operations[method])
        for method in METHODS
        for path, operations in schema["paths"].items()
        if method in operations
    ]
    credential = headers(schema, commands[0])
    for command in commands:
        command["samples"] = samples(request, command, credential)
    answers = {answer["status"]: answer for command in commands for answer in command["answers"]}
    context = {
        "info": schema["info"],
        "groups": [
            (tag["name"], [command for command in commands if tag["name"] in command["tags"]])
            for tag in schema["tags"]
        ],
        "headers": credential,
        "environment": sample("environment", {"headers": credential}),
        "errors": [answers[status] for status in sorted(answers) if status >= 400],
        "common": common_errors(commands),
        "host": request.build_absolute_uri("/").rstrip("/"),
    }
    return render(request, "reference/reference.html", context)


@require_safe
def connect(request):
    """How a telephone engine is connected, with the sample configuration for the reader's own host."""
    host = request.build_absolute_uri("/").rstrip("/")
    engines = sample_configuration.fill_in_samples(host)
    return render(request, "reference/connect.html", {"engines": engines})


@cache
def document() -> dict:
    """The OpenAPI document, which stays the same as long as the process runs."""
    return SchemaGenerator().get_schema(public=True)


def as_shown(schema, path, method, operation) -> dict:
    """The command, with what the template cannot find in the document by itself."""
    in_path = placed("path", operation)
    body = json_content(operation.get("requestBody", {}))
    return operation | {
        "method": method.upper(),
        "path": path,
        "address": path.format(
            **{parameter["name"]: parameter["example"] for parameter in in_path}
        ),
        "in_url": typed(in_path + placed("query", operation)),
        "in_header": typed(
            parameter
            for parameter in placed("header", operation)
            if not is_of_credential(parameter)
        ),
        "fields": fields(schema, body["schema"]) if body else [],
        "body": as_json(body["example"]) if body else "",
        "answers": [answer(int(status), r) for status, r in operation["responses"].items()],
    }


def common_errors(commands) -> list[int]:
    """The statuses that any command may be refused with: the page explains them once."""
    each = ({answer["status"] for answer in command["answers"]} for command in commands)
    return sorted(status for status in set.intersection(*each) if status >= 400)


def fields(schema, body) -> list[dict]:
    """The fields of a body, each with its name, its type in words, and whether it must be sent."""
    body = schema["components"]["schemas"][body["$ref"].rpartition("/")[2]]
    return [
        field
        | {
            "name": name,
            "type": in_words(field),
            "required": name in body.get("required", []),
            "default": json.dumps(field["default"]) if "default" in field else "",
        }
        for name, field in body["properties"].items()
    ]


def typed(parameters) -> list[dict]:
    """The parameters, each with what its value may be."""
    return [parameter | {"type": in_words(parameter["schema"])} for parameter in parameters]


def in_words(schema) -> str:
    """What a value may be: `string`, `string or null`, `true or false`, `date or date-time`."""
    kinds = schema.get("enum") or schema.get("type") or [one["format"] for one in schema["anyOf"]]
    return kinds if isinstance(kinds, str) else " or ".join(kinds)


def answer(status, response) -> dict:
    """A response with its example. 204 has no body: its example is what a client shows its caller."""
    example = json_content(response).get("example", contract.envelope(status))
    return {
        "has_body": status != 304,
        "status": status,
        "phrase": contract.status_message(status),
        "description": response["description"],
        "headers": {
            name: header
            for name, header in response["headers"].items()
            if name not in EXPLAINED_ONCE
        },
        "body": as_json(example),
    }


def headers(schema, operation) -> list[dict]:
    """The headers of a call: those that make a credential together, and the optional ones."""
    schemes = schema["components"]["securitySchemes"]
    credential = [
        schemes[name] | {"required": True, "variable": f"MAILBOXES_{name.upper()}"}
        for name in operation["security"][0]
    ]
    return credential + [p for p in placed("header", operation) if is_of_credential(p)]


def samples(request, command, headers) -> list[tuple]:
    """The command as a program in each language, ready to run: its name, its title, its text."""
    context = {
        "method": command["method"],
        "host": request.build_absolute_uri("/").rstrip("/"),
        "name": request.get_host(),
        "connection": "HTTPSConnection" if request.is_secure() else "HTTPConnection",
        "address": command["address"],
        "headers": [header for header in headers if "variable" in header],
        "body": command["body"],
        "has_answer": "204" not in command["responses"],
    }
    return [(language, title, sample(language, context)) for language, title in LANGUAGES.items()]


def sample(name, context) -> str:
    """A text of templates/reference/samples/, filled in."""
    return render_to_string(f"reference/samples/{name}.txt", context).strip()


def placed(place, operation) -> list[dict]:
    """The parameters in one place of a call: `path`, `query` or `header`."""
    return [parameter for parameter in operation["parameters"] if parameter["in"] == place]


def is_of_credential(header) -> bool:
    return header["name"].startswith("X-Auth-")


def json_content(message) -> dict:
    return message.get("content", {}).get("application/json", {})


def as_json(value) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)
