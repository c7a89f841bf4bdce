"""Every address of the service, built from its URL patterns."""

from django.contrib.contenttypes.models import ContentType
from django.urls import URLResolver, get_resolver, reverse

from mailboxes.models import Mailbox

# Arguments that are not the key of a row: an action on a message, the admin's only app, a greeting's
# signature, and the parts of a link to set a password.
CONSTANTS = {
    "version": 1,
    "action": "delete",
    "app_label": "mailboxes",
    "signed": "signature",
    "uidb64": "MQ",
    "token": "token",
}
ADMIN_KINDS = {
    "account",
    "accessattempt",
    "apicredential",
    "emailrecipient",
    "group",
    "mailbox",
    "message",
    "sound",
    "staticdevice",
    "totpdevice",
    "user",
}


def build_addresses(rows) -> list[str]:
    """Return one address for each named URL pattern, with the keys of these rows."""
    return sorted({reverse(name, kwargs=kwargs) for name, kwargs in iterate_patterns(rows)})


def iterate_patterns(rows, resolver=None, namespace=""):
    for entry in (resolver or get_resolver()).url_patterns:
        if isinstance(entry, URLResolver):
            inner = f"{entry.namespace}:" if entry.namespace else namespace
            yield from iterate_patterns(rows, entry, inner)
        elif entry.name:
            name, pattern = f"{namespace}{entry.name}", entry.pattern
            arguments = [*pattern.converters, *pattern.regex.groupindex]
            yield name, {argument: get_value(name, argument, rows) for argument in arguments}


def get_value(name, argument, rows):
    """Return the argument's value. Raise KeyError if a pattern needs a row of a new kind."""
    if argument == "content_type_id":
        return ContentType.objects.get_for_model(Mailbox).pk
    if argument in CONSTANTS:
        return CONSTANTS[argument]
    if argument == "name":
        return rows["account"].name
    return rows[get_kind(name, argument)].pk


def get_kind(name, argument):
    """Return the kind of row that the argument of this URL pattern names."""
    if argument == "recipient" or (name == "recipient-detail" and argument == "uuid"):
        return "emailrecipient"
    if argument in ("id", "delivery") and not name.startswith("admin:"):
        return "webhookdelivery"
    if argument == "uuid" and ("webhook" in name or "delivery" in name):
        return "webhookendpoint"
    if "sound" in name and argument == "uuid":
        return "sound"
    if "message" in name and argument == "uuid":
        return "message"
    if name.startswith("console:credential-"):
        return "apicredential"
    if name.startswith("console:import-"):
        return "import"
    if name.startswith("console:staff-"):
        return "user"
    if name == "console:job-again":
        return "task"
    if name == "console:undo":
        return "batch"
    if name.startswith("admin:") and name != "admin:view_on_site":
        return next(word for word in name.split("_") if word in ADMIN_KINDS)
    return "mailbox"
