"""What FreeSWITCH asks for its directory through mod_xml_curl, answered as its XML.

A mailbox is a user called by its uuid, its domain is the account's name. FreeSWITCH handles an answer
line by line before it parses it (switch_xml.c, preprocess): it drops a line with `<?`, so there is
no declaration, and puts its own settings in the place of `$${name}`.
"""

import re
import secrets
from xml.etree.ElementTree import Element, SubElement, tostring

from django.http import HttpResponse

from mailboxes.engines import sounds
from mailboxes.engines.credentials import engine_lookup
from mailboxes.engines.lookups import find_mailbox, pass_code

KEYS = ("id", "number-alias")  # the second after the first has found nothing

# Of letters and digits, and what means nothing to a shell. The first may not be a hyphen.
PLAIN_ADDRESS = re.compile(r"[\w.+%=][\w.+%=-]*@[\w.-]+", re.ASCII)
DROPPED = "x-pre-process"  # with the line that it stands in


@engine_lookup
def directory(request, credential):
    """The user that stands for the mailbox a call is for, or that there is none.

    Its pass code only for mod_voicemail, which asks to let somebody in.
    """
    asked = request.POST
    if asked.get("section") == "directory" and asked.get("key") in KEYS:
        mailbox = find_mailbox(credential, asked.get("user", ""), asked.get("domain", ""))
        for found in mailbox.with_addresses():
            more = {}
            if asked.get("action") == "voicemail-lookup":
                more["vm-password"] = pass_code(found)
            variables = settings(found) | greeting(request, found)
            section = user(found, params(found) | more, variables)
            if asked.get("VM-Action") == "change-password":
                refuse(section)
            return answer(section)
    return answer(not_found())


def params(mailbox) -> dict[str, str]:
    """What mod_voicemail reads of a user. The password is nobody's: a telephone could register without one."""
    addresses = [address for address in mailbox.addresses if is_plain(address)]
    return {
        "password": secrets.token_urlsafe(32),
        "vm-mailto": ",".join(addresses),
        "vm-email-all-messages": true_or_false(addresses),
        "vm-attach-file": "true",
        "vm-keep-local-after-email": "true",
    }


def settings(mailbox) -> dict[str, str]:
    """What becomes a variable of the call, where the dialplan says `set_user`: it acts on those of ours."""
    return {
        "mailbox_uuid": str(mailbox.pk),
        "mailbox_account": mailbox.account.name,
        "mailbox_beep": true_or_false(mailbox.beep),
        "mailbox_play_timestamp": true_or_false(mailbox.play_timestamp),
        "mailbox_transcribe": true_or_false(mailbox.transcribe),
        "vm_announce_cid": true_or_false(mailbox.play_caller_id),
    }


def greeting(request, mailbox) -> dict[str, str]:
    """Where the greeting is, if it can be played: the file, and the address for a FreeSWITCH that has no such file."""
    places = {
        "voicemail_greeting_path": sounds.path(mailbox.greeting),
        "mailbox_greeting_url": sounds.address(request, mailbox.greeting),
    }
    return {name: place for name, place in places.items() if place}


def is_plain(address) -> bool:
    """Whether FreeSWITCH mails it as it is, and does nothing else for it.

    It parts addresses at commas, and pastes them into a shell's command line behind sendmail's
    options (switch_utils.c, switch_simple_email), in quotes only where it is new enough. An
    address may hold nearly all that a shell acts on, and whoever has a credential may choose one.
    """
    return PLAIN_ADDRESS.fullmatch(address) is not None and DROPPED not in address.lower()


def true_or_false(value) -> str:
    return "true" if value else "false"


def user(mailbox, params, variables) -> Element:
    """The section of the document with the mailbox as its only user."""
    section = Element("section", name="directory")
    domain = SubElement(section, "domain", name=mailbox.account.name)
    group = SubElement(SubElement(domain, "groups"), "group", name="default")
    user = SubElement(SubElement(group, "users"), "user", id=str(mailbox.pk))
    for kind, values in (("param", params), ("variable", variables)):
        listed = SubElement(user, f"{kind}s")
        for name, value in values.items():
            SubElement(listed, kind, name=name, value=value)
    return section


def refuse(section):
    """Say no to a pass code changed by telephone: FreeSWITCH would keep it and open the mailbox by it ever after."""
    SubElement(next(section.iter("user")), "result", success="false")


def not_found() -> Element:
    """The section by which FreeSWITCH goes on to look elsewhere, in its own files at last."""
    section = Element("section", name="result")
    SubElement(section, "result", status="not found")
    return section


def answer(section) -> HttpResponse:
    document = Element("document", type="freeswitch/xml")
    document.append(section)
    text = tostring(document, encoding="unicode")
    return HttpResponse(text, content_type="text/xml; charset=utf-8")
