"""What Asterisk's res_config_curl asks for its voicemail family, answered in its format.

A mailbox is called by its uuid, its context is the account's name. The format is a line a
mailbox, `key=value&key=value` with both percent-encoded; there is no error in it but nothing.
"""

from urllib.parse import parse_qsl, quote, urlencode

from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpResponse

from mailboxes.engines import sounds
from mailboxes.engines.credentials import engine_lookup
from mailboxes.engines.lookups import UNDIALLABLE, find_mailbox, pass_code
from mailboxes.models import Mailbox

UPDATE = "/update"  # what Asterisk puts behind the address that it was told to call

MAX_FULLNAME_BYTES = 79  # app_voicemail cuts a longer one, within a character if it comes so


@engine_lookup
def require(request, credential):
    """Whether there are the columns that Asterisk will ask for: there are."""
    return answer("0")


@engine_lookup
def single(request, credential):
    """The mailbox that a call is for, or nothing.

    Its pass code only for app_voicemail, which names a context: the dialplan, which names
    none, has no use for it and writes what it reads into Asterisk's log.
    """
    for mailbox in named(credential, request.POST).with_addresses():
        more = {"greeting_url": sounds.address(request, mailbox.greeting)}
        if "context" in request.POST:
            more["password"] = pass_code(mailbox)
        return answer(line(mailbox, **more))
    return answer("")


@engine_lookup
def multi(request, credential):
    """The mailboxes of a context, for lists: without their pass codes, which no list needs."""
    account = request.POST.get("context", "")
    mailboxes = Mailbox.objects.readable_by(credential, name=account).with_account_name(account)
    return answer("".join(line(mailbox) for mailbox in mailboxes.with_addresses()))


@engine_lookup
@transaction.atomic
def update(request, credential):
    """A pass code changed by telephone: how many mailboxes have it now."""
    try:
        mailbox = named(credential, updated(request)).select_for_update(of=["self"]).get()
        mailbox.set_pass_code(request.POST.get("password", ""))
    except Mailbox.DoesNotExist:
        return HttpResponse(status=404)
    except ValidationError:
        return HttpResponse(status=400)
    return answer("1")


def updated(request) -> dict:
    """Which mailbox an update is about, from its query: `context=acme&mailbox=…`, or as Asterisk writes that.

    It leaves out the `&` between the two, and puts one before them (res_config_curl.c, update2_curl).
    """
    query = request.META["QUERY_STRING"].replace("mailbox=", "&mailbox=")
    return dict(parse_qsl(query, keep_blank_values=True))


def named(credential, lookup):
    """The mailbox that the lookup names, if the engine may read it; the dialplan names no context."""
    return find_mailbox(credential, lookup.get("mailbox", ""), lookup.get("context"))


def line(mailbox, **more) -> str:
    """The mailbox as a line of columns, some for app_voicemail, some for the dialplan.

    What somebody may have written freely comes last: REALTIME_HASH separates columns by commas.
    """
    columns = {
        "mailbox": mailbox.pk,
        "context": mailbox.account.name,
        "password": UNDIALLABLE,
        "attach": "yes",
        "saycid": yes_or_no(mailbox.play_caller_id),
        "envelope": yes_or_no(mailbox.play_timestamp),
        "beep": yes_or_no(mailbox.beep),
        "transcribe": yes_or_no(mailbox.transcribe),
        **more,
        "email": "|".join(address for address in mailbox.addresses if "|" not in address),
        "fullname": cut(mailbox.name),
    }
    return urlencode(columns, quote_via=quote, safe="") + "\n"


def cut(name) -> str:
    """As much of the name as app_voicemail takes, no character broken."""
    return name.encode()[:MAX_FULLNAME_BYTES].decode(errors="ignore")


def yes_or_no(value) -> str:
    return "yes" if value else "no"


def answer(text):
    return HttpResponse(text, content_type="text/plain; charset=utf-8")


def nothing_changed():
    """A refused update: never an empty body, past whose end Asterisk would read on for a number."""
    return answer("0")
