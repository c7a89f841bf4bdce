"""Every address that the service has, made from its own url patterns."""

from django.contrib.contenttypes.models import ContentType
from django.urls import URLResolver, get_resolver, reverse

from mailboxes.models import Mailbox

# What no row stands for: the admin's only app, a greeting's signature.
OTHERS = {"app_label": "mailboxes", "signed": "signature"}


def addresses(rows) -> list[str]:
    """An address for each pattern with a name, with these rows where it names some."""
    return sorted({reverse(name, kwargs=kwargs) for name, kwargs in named(rows)})


def named(rows, resolver=None, namespace=""):
    for entry in (resolver or get_resolver()).url_patterns:
        if isinstance(entry, URLResolver):
            inner = f"{entry.namespace}:" if entry.namespace else namespace
            yield from named(rows, entry, inner)
        elif entry.name:
            name = f"{namespace}{entry.name}"
            yield name, {argument: value(name, argument, rows) for argument in arguments(entry)}


def arguments(entry):
    pattern = entry.pattern
    return [*pattern.converters, *pattern.regex.groupindex]


def value(name, argument, rows):
    """What stands for the argument. Raises KeyError: a new pattern may need a row of a new kind."""
    if argument == "content_type_id":
        return ContentType.objects.get_for_model(Mailbox).pk
    if argument in OTHERS:
        return OTHERS[argument]
    if argument == "name":
        return rows["account"].name
    return rows[kind(name, argument)].pk


def kind(name, argument):
    """The kind of row that an address of this name asks for."""
    if argument == "recipient" or (name == "recipient-detail" and argument == "uuid"):
        return "emailrecipient"
    if name.startswith("console:credential-"):
        return "apicredential"
    if name.startswith("console:import-"):
        return "import"
    if name == "console:undo":
        return "batch"
    if name.startswith("admin:") and name != "admin:view_on_site":
        return next(word for word in name.split("_") if word in ADMIN_KINDS)
    return "mailbox"


ADMIN_KINDS = {
    "account",
    "accessattempt",
    "apicredential",
    "emailrecipient",
    "group",
    "mailbox",
    "staticdevice",
    "totpdevice",
    "user",
}
