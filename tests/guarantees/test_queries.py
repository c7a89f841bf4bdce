"""Every query for a customer starts from the account: checks the SQL of each API command."""

import re

import pytest
from django.core.cache import cache
from django.db import connection
from django.test.utils import CaptureQueriesContext

from mailboxes.api.finding import ListParameters
from mailboxes.models import Account, ApiCredential, EmailRecipient, Mailbox, Message, Sound
from tests.conftest import headers_for
from tests.delivery.webhooks import create_webhook
from tests.guarantees.reference_model import COMMANDS
from tests.guarantees.sound_calls import CONTENT
from tests.recordings import make_form, make_recording, make_wav
from tests.service import InProcess
from tests.sounds import create_sound

# Matches SQL that reads or changes a table of customers' data.
CUSTOMERS_TABLES = re.compile(
    r"\A(?:WITH written AS \()?(?:SELECT|UPDATE|DELETE)\b.*\bmailboxes_"
    r"(?:mailbox|message|emailrecipient|historicalmailbox|historicalemailrecipient|idempotentanswer"
    r"|webhookendpoint|webhookdelivery|sound|historicalsound|soundaudio)\b",
    re.DOTALL,
)
SETTINGS = {"name": "Sales", "password": "4829"}
BODIES = {
    "create": SETTINGS,
    "replace": SETTINGS,
    "change": SETTINGS,
    "add_recipient": {"email": "ann@example.com"},
    "change_recipient": {"email": "bob@example.com"},
    "mark_message": {"heard": True},
    "create_webhook": {"url": "https://example.com/new", "events": ["message.received"]},
    "change_webhook": {"is_active": False},
    "create_sound": {"content": CONTENT, "file_name": "new.wav"},
    "change_sound": {"content": CONTENT, "file_name": "other.wav"},
}
SEARCHES = {
    "search": "a",
    "name": "Theirs",
    "transcribe": "false",
    "has_password": "false",
    "recipient": "pete@example.com",
    "updated_since": "2023-06-02",
    "changed_since": "0",
    "deleted": "false",
    "order": "name",
    "limit": "1",
}


def create_mailbox(name, reseller=None):
    account = Account.objects.create(name=name, reseller=reseller)
    mailbox = Mailbox.objects.create(account=account, name="Theirs")
    mailbox.add_recipient("pete@example.com")
    create_webhook(account)
    create_sound(account)
    Message.receive(mailbox, make_recording())  # sent to the webhook
    return mailbox


@pytest.fixture
def others(db):
    """Mailboxes of the reseller and of a stranger."""
    return [create_mailbox("reseller"), create_mailbox("stranger")]


@pytest.fixture
def mailbox(others):
    """The mailbox of a customer, for whom the reseller calls."""
    return create_mailbox("customer", others[0].account)


@pytest.fixture
def service(mailbox):
    return InProcess(headers_for(mailbox.account.reseller) | {"X-Auth-For": "customer"})


def capture_queries(service, method, path, body=None, headers=None):
    """Return the call's queries of customers' data. UUIDs in them have no hyphens."""
    with CaptureQueriesContext(connection) as captured:
        answer = service.call(method, path, body, headers=headers)
    assert answer.status < 300
    queries = [query["sql"].replace('"', "") for query in captured]
    return [
        re.sub(r"(?<=[0-9a-f])-(?=[0-9a-f])", "", query)
        for query in queries
        if CUSTOMERS_TABLES.match(query)
    ]


def filters_by_account(query, account) -> bool:
    by_number = re.search(rf"\baccount_id (= \(?|IN \([^)]*\b){account.pk}\b", query)
    by_join = re.search(rf"\bmailboxes_account\.id (= |IN )\({account.pk}\)", query)
    return bool(by_number or (by_join and "account_id = (mailboxes_account.id)" in query))


def filters_by_row(query, account, webhooks=()) -> bool:
    """Return True if the query is limited to present or past rows of the account.

    Webhooks have no history, so `webhooks` are the UUIDs of its deleted ones.
    """
    mailboxes = set(Mailbox.history.filter(account=account).values_list("uuid", flat=True))
    recipients = EmailRecipient.history.filter(mailbox__in=mailboxes).values_list("uuid", flat=True)
    messages = Message.objects.filter(mailbox__in=mailboxes).values_list("uuid", flat=True)
    webhooks = [*webhooks, *account.webhooks.values_list("uuid", flat=True)]
    sounds = Sound.history.filter(account=account).values_list("uuid", flat=True)
    audios = Sound.history.filter(account=account).values_list("audio_id", flat=True)
    all_rows = mailboxes.union(recipients, messages, webhooks, sounds, audios)
    any_of = "|".join(uuid.hex for uuid in all_rows)
    return (
        re.search(rf"\b(uuid|mailbox_id|endpoint_id) (= \(?|IN \()'?({any_of})\b", query)
        is not None
    )


def starts_from(account, queries, webhooks=()) -> bool:
    """Return True if the first query filters by the account, and each by it or by a row of it."""
    return filters_by_account(queries[0], account) and all(
        filters_by_account(query, account) or filters_by_row(query, account, webhooks)
        for query in queries
    )


def assert_own_rows_only(queries, mailbox, others, webhooks=()):
    assert starts_from(mailbox.account, queries, webhooks), "\n".join(queries)
    for other in others:
        assert not any(other.pk.hex in query for query in queries)


@pytest.mark.parametrize("command", sorted(COMMANDS.keys() - {"authenticated", "find"}))
@pytest.mark.parametrize("key", [None, "one"])
def test_command_queries_start_from_the_account(service, mailbox, others, command, key):
    method, path = COMMANDS[command]
    recipient, message = mailbox.email_recipients.get(), mailbox.messages.get()
    webhook = mailbox.account.webhooks.get()
    path = path.format(
        mailbox=mailbox.pk,
        recipient=recipient.pk,
        message=message.pk,
        webhook=webhook.pk,
        sound=mailbox.account.sounds.get().pk,
        delivery=webhook.deliveries.get().pk,
    )
    body, headers = BODIES.get(command), {"Idempotency-Key": key}
    if command == "change_messages":
        body = {"action": "delete", "uuids": [str(message.pk)]}
    if command == "add_message":
        form = make_form(make_wav())
        body, headers = form["body"], headers | form["headers"]
    cache.clear()  # so that a creation counts the mailboxes
    queries = capture_queries(service, method, path, body, headers)
    assert_own_rows_only(queries, mailbox, others, [webhook.pk])
    if command == "create" and key is None:
        # The first creation has counted the mailboxes. The next ones only insert.
        assert not capture_queries(service, method, path, BODIES.get(command), headers)


@pytest.mark.parametrize("name", [None, *SEARCHES])
def test_list_queries_start_from_the_account(service, mailbox, others, name):
    service.post("/voip/mailbox", SETTINGS)
    parameters = f"?{name}={SEARCHES[name]}" if name else ""
    queries = capture_queries(service, "GET", f"/voip/mailbox{parameters}")
    assert_own_rows_only(queries, mailbox, others)


OF_CREDENTIAL = "account_id = (mailboxes_apicredential.account_id)"
JOINED = (
    "ON (mailboxes_apicredential.account_id = mailboxes_account.id)",
    "ON (mailboxes_account.id = mailbox.account_id AND ",
)


@pytest.mark.parametrize(
    ("method", "path", "parts"),
    [
        ("GET", "/voip/mailbox", [OF_CREDENTIAL]),
        ("GET", "/voip/mailbox/{}", [OF_CREDENTIAL]),
        ("PUT", "/voip/mailbox/{}", JOINED),
        ("PATCH", "/voip/mailbox/{}", JOINED),
    ],
)
def test_query_that_joins_the_credential_starts_from_its_account(mailbox, method, path, parts):
    service = InProcess(headers_for(mailbox.account))
    body = None if method == "GET" else SETTINGS
    query, *writes = capture_queries(service, method, path.format(mailbox.pk), body)
    assert all(part in query for part in parts)
    assert all(filters_by_row(write, mailbox.account) for write in writes)
    digest = ApiCredential.hash(service.headers["X-Auth-Password"])
    assert re.search(rf"WHERE .*secret_sha256 = \('?{digest}", query)


def test_next_page_queries_start_from_the_account(service, mailbox, others):
    service.post("/voip/mailbox", SETTINGS)
    link = service.get("/voip/mailbox?limit=1").headers["link"]
    path = re.match("<http://localhost(.*)>", link)[1]
    assert_own_rows_only(capture_queries(service, "GET", path), mailbox, others)


def test_every_list_parameter_is_tested():
    assert {*SEARCHES, "cursor"} == {*ListParameters().fields}


def test_checker_finds_a_query_that_does_not_start_from_the_account(mailbox, others):
    for queryset in (
        Mailbox.objects.all(),
        Mailbox.objects.filter(pk=mailbox.pk),
        others[0].account.mailboxes.all(),
        EmailRecipient.objects.filter(email="pete@example.com"),
    ):
        with CaptureQueriesContext(connection) as captured:
            list(queryset)
        query = captured[0]["sql"].replace('"', "")
        assert CUSTOMERS_TABLES.match(query)
        assert not starts_from(mailbox.account, [query])
