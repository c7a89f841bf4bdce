"""Lookups by Asterisk's res_config_curl, for its voicemail family.

A mailbox's number is its uuid, its context the account's name. An answer has a line for each
mailbox, `key=value&key=value` with both percent-encoded. The format has no errors: an empty
answer means that nothing was found.
"""

from urllib.parse import parse_qsl, quote, urlencode

from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpResponse, StreamingHttpResponse

from mailboxes.engines import sounds
from mailboxes.engines.credentials import engine_lookup
from mailboxes.engines.lookups import UNDIALLABLE, find_mailbox, get_pass_code
from mailboxes.http.bodies import write_answer
from mailboxes.models import Mailbox

TEXT = "text/plain; charset=utf-8"
CHUNK_SIZE = 200  # rows of a list that are in memory
MAX_FULLNAME_BYTES = 79  # app_voicemail truncates longer names, even within a character


@engine_lookup
def require(request, credential):
    return text_response("0")


@engine_lookup
def single(request, credential):
    """Answer with one mailbox.

    Only app_voicemail, which sends a context, gets the pass code. The dialplan, which sends
    none, does not need it, and would write it into Asterisk's log.
    """
    for mailbox in find_by_lookup(credential, request.POST).with_addresses():
        columns = {"greeting_url": sounds.find_greeting(request, mailbox).url}
        if "context" in request.POST:
            columns["password"] = get_pass_code(mailbox)
        return text_response(format_mailbox(mailbox, **columns))
    return text_response("")


@engine_lookup
def multi(request, credential):
    """Answer with the mailboxes of a context, without pass codes: no list needs them."""
    account = request.POST.get("context", "")
    mailboxes = Mailbox.objects.readable_by(credential, account__name=account)
    lines = map(format_mailbox, mailboxes.with_addresses(CHUNK_SIZE))
    file = write_answer(line.encode() for line in lines)
    return StreamingHttpResponse(file, content_type=TEXT)


@engine_lookup
@transaction.atomic
def update(request, credential):
    """Set a pass code changed by telephone, and answer with the number of changed mailboxes."""
    mailboxes = find_by_lookup(credential, parse_update_query(request))
    try:
        mailbox = mailboxes.select_for_update(of=["self"]).get()
        mailbox.set_pass_code(request.POST.get("password", ""))
    except Mailbox.DoesNotExist:
        return HttpResponse(status=404)
    except ValidationError:
        return HttpResponse(status=400)
    return text_response("1")


def parse_update_query(request) -> dict:
    """Parse `context=acme&mailbox=…`, also as Asterisk sends it: `&context=acmemailbox=…`.

    See update2_curl in res_config_curl.c.
    """
    query = request.META["QUERY_STRING"].replace("mailbox=", "&mailbox=")
    return dict(parse_qsl(query, keep_blank_values=True))


def find_by_lookup(credential, lookup):
    return find_mailbox(credential, lookup.get("mailbox", ""), lookup.get("context"))


def format_mailbox(mailbox, **extra_columns) -> str:
    """Return the mailbox's line: columns for app_voicemail, and columns for the dialplan.

    Free text comes last, because REALTIME_HASH separates columns by commas.
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
        **extra_columns,
        "email": "|".join(address for address in mailbox.addresses if "|" not in address),
        "fullname": truncate_name(mailbox.name),
    }
    return urlencode(columns, quote_via=quote, safe="") + "\n"


def truncate_name(name) -> str:
    return name.encode()[:MAX_FULLNAME_BYTES].decode(errors="ignore")


def yes_or_no(value) -> str:
    return "yes" if value else "no"


def text_response(text):
    return HttpResponse(text, content_type=TEXT)


def refused_update_response():
    # Not an empty body: Asterisk would read a number past its end.
    return text_response("0")
