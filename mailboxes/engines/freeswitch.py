"""Directory lookups by FreeSWITCH's mod_xml_curl.

A mailbox is a user whose id is its uuid, in a domain named like the account. FreeSWITCH
preprocesses an answer line by line (switch_xml.c, preprocess): it drops a line with `<?`, so
there is no XML declaration, and replaces `$${name}` by its own settings.
"""

import re
import secrets
from xml.etree.ElementTree import Element, SubElement, tostring

from django.http import HttpResponse

from mailboxes.engines import sounds
from mailboxes.engines.credentials import engine_lookup
from mailboxes.engines.lookups import find_mailbox, get_pass_code

KEYS = ("id", "number-alias")  # FreeSWITCH tries the second if the first finds nothing

# Only characters without a meaning to a shell. The first must not be a hyphen.
SAFE_ADDRESS = re.compile(r"[\w.+%=][\w.+%=-]*@[\w.-]+", re.ASCII)
DIRECTIVE = "x-pre-process"  # FreeSWITCH drops the whole line that has it


@engine_lookup
def directory(request, credential):
    """Answer with the mailbox as a user. Only mod_voicemail's login gets the pass code."""
    lookup = request.POST
    if lookup.get("section") == "directory" and lookup.get("key") in KEYS:
        found = find_mailbox(credential, lookup.get("user", ""), lookup.get("domain", ""))
        for mailbox in found.with_addresses():
            params = user_params(mailbox)
            if lookup.get("action") == "voicemail-lookup":
                params["vm-password"] = get_pass_code(mailbox)
            variables = call_variables(mailbox) | greeting_variables(request, mailbox)
            section = build_section(mailbox, params, variables)
            if lookup.get("VM-Action") == "change-password":
                refuse_change(section)
            return xml_response(section)
    return xml_response(not_found_section())


def user_params(mailbox) -> dict[str, str]:
    addresses = [address for address in mailbox.addresses if is_safe(address)]
    return {
        # Random, because without a password any telephone could register as this user.
        "password": secrets.token_urlsafe(32),
        "vm-mailto": ",".join(addresses),
        "vm-email-all-messages": true_or_false(addresses),
        "vm-attach-file": "true",
        "vm-keep-local-after-email": "true",
    }


def call_variables(mailbox) -> dict[str, str]:
    """Return the variables that the dialplan's `set_user` sets on the call."""
    return {
        "mailbox_uuid": str(mailbox.pk),
        "mailbox_account": mailbox.account.name,
        "mailbox_beep": true_or_false(mailbox.beep),
        "mailbox_play_timestamp": true_or_false(mailbox.play_timestamp),
        "mailbox_transcribe": true_or_false(mailbox.transcribe),
        "vm_announce_cid": true_or_false(mailbox.play_caller_id),
    }


def greeting_variables(request, mailbox) -> dict[str, str]:
    """Return variables with the greeting's path and URL, or none if it cannot be played."""
    place = sounds.find_greeting(request, mailbox)
    variables = {"voicemail_greeting_path": place.path, "mailbox_greeting_url": place.url}
    return {name: value for name, value in variables.items() if value}


def is_safe(address) -> bool:
    """Return True if FreeSWITCH can mail to this address without side effects.

    FreeSWITCH splits addresses at commas and puts them on a shell's command line, after
    sendmail's options (switch_utils.c, switch_simple_email); only newer versions quote them. A
    valid address may have nearly every character special to a shell, and callers choose it.
    """
    return SAFE_ADDRESS.fullmatch(address) is not None and DIRECTIVE not in address.lower()


def true_or_false(value) -> str:
    return "true" if value else "false"


def build_section(mailbox, params, variables) -> Element:
    section = Element("section", name="directory")
    domain = SubElement(section, "domain", name=mailbox.account.name)
    group = SubElement(SubElement(domain, "groups"), "group", name="default")
    user = SubElement(SubElement(group, "users"), "user", id=str(mailbox.pk))
    for kind, values in (("param", params), ("variable", variables)):
        parent = SubElement(user, f"{kind}s")
        for name, value in values.items():
            SubElement(parent, kind, name=name, value=value)
    return section


def refuse_change(section):
    """Refuse a new pass code: FreeSWITCH would store it and always accept it from then on."""
    SubElement(next(section.iter("user")), "result", success="false")


def not_found_section() -> Element:
    """Return the answer that makes FreeSWITCH look in its other sources, its files last."""
    section = Element("section", name="result")
    SubElement(section, "result", status="not found")
    return section


def xml_response(section) -> HttpResponse:
    document = Element("document", type="freeswitch/xml")
    document.append(section)
    text = tostring(document, encoding="unicode")
    return HttpResponse(text, content_type="text/xml; charset=utf-8")
