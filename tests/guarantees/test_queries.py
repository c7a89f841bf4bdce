"""Every query that serves a customer starts from the account: read off what the API asks of the database."""

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from mailboxes.api.finding import ListParameters
from mailboxes.models import Account, ApiCredential, EmailRecipient, Mailbox
from tests.conftest import headers_for
from tests.guarantees.model import COMMANDS
from tests.service import InProcess

# Whatever reads or changes these.
CUSTOMERS_TABLES = re.compile(
    r"\A(?:WITH written AS \()?(?:SELECT|UPDATE|DELETE)\b.*\bmailboxes_"
    r"(?:mailbox|emailrecipient|historicalmailbox|historicalemailrecipient|idempotentanswer)\b",
    re.DOTALL,
)
SETTINGS = {"name": "Sales", "password": "4829"}
BODIES = {
    "create": SETTINGS,
    "replace": SETTINGS,
    "change": SETTINGS,
    "add_recipient": {"email": "ann@example.com"},
    "change_recipient": {"email": "bob@example.com"},
}
SEARCHES = {
    "search": "a",
    "name": "Theirs",
    "transcribe": "false",
    "has_password": "false",
    "recipient": "pete@example.com",
    "updated_since": "2023-06-02",
    "deleted": "false",
    "order": "name",
    "limit": "1",
}


def mailbox_of(name, reseller=None):
    account = Account.objects.create(name=name, reseller=reseller)
    mailbox = Mailbox.objects.create(account=account, name="Theirs")
    mailbox.add_recipient("pete@example.com")
    return mailbox


@pytest.fixture
def others(db):
    """The reseller's own mailbox, and that of a stranger."""
    return [mailbox_of("reseller"), mailbox_of("stranger")]


@pytest.fixture
def customers(others):
    """The mailbox of a customer, for whom the reseller calls."""
    return mailbox_of("customer", others[0].account)


@pytest.fixture
def service(customers):
    return InProcess(headers_for(customers.account.reseller) | {"X-Auth-For": "customer"})


def asked(service, method, path, body=None, headers=None):
    """The statements about customers' data that the call made, with the values in them; uuids without hyphens."""
    with CaptureQueriesContext(connection) as captured:
        answer = service.call(method, path, body, headers=headers)
    assert answer.status < 300
    statements = [query["sql"].replace('"', "") for query in captured]
    return [
        re.sub(r"(?<=[0-9a-f])-(?=[0-9a-f])", "", statement)
        for statement in statements
        if CUSTOMERS_TABLES.match(statement)
    ]


def names_account(statement, account) -> bool:
    by_number = re.search(rf"\baccount_id = \(?{account.pk}\b", statement)
    by_row = re.search(rf"\bmailboxes_account\.id = \({account.pk}\)", statement)
    return bool(by_number or (by_row and "account_id = (mailboxes_account.id)" in statement))


def names_row(statement, account) -> bool:
    """Whether it asks for no others than the account's own mailboxes and recipients, past ones among them."""
    mailboxes = set(Mailbox.history.filter(account=account).values_list("uuid", flat=True))
    recipients = EmailRecipient.history.filter(mailbox__in=mailboxes).values_list("uuid", flat=True)
    any_of = "|".join(uuid.hex for uuid in mailboxes | set(recipients))
    return re.search(rf"\b(uuid|mailbox_id) (= \(?|IN \()'?({any_of})\b", statement) is not None


def starts_from(account, statements) -> bool:
    """Each names the account, or a row that is the account's; the first of them, the account."""
    return names_account(statements[0], account) and all(
        names_account(statement, account) or names_row(statement, account)
        for statement in statements
    )


def check(statements, customers, others):
    assert starts_from(customers.account, statements), "\n".join(statements)
    for other in others:
        assert not any(other.pk.hex in statement for statement in statements)


@pytest.mark.parametrize("command", sorted(COMMANDS.keys() - {"authenticated", "find"}))
@pytest.mark.parametrize("key", [None, "one"])
def test_a_command(service, customers, others, command, key):
    method, path = COMMANDS[command]
    recipient = customers.email_recipients.get()
    path = path.format(mailbox=customers.pk, recipient=recipient.pk)
    statements = asked(service, method, path, BODIES.get(command), {"Idempotency-Key": key})
    if command == "create" and key is None:
        assert not statements  # it only inserts
    else:
        check(statements, customers, others)


@pytest.mark.parametrize("name", [None, *SEARCHES])
def test_a_list(service, customers, others, name):
    service.post("/voip/mailbox", SETTINGS)
    query = f"?{name}={SEARCHES[name]}" if name else ""
    check(asked(service, "GET", f"/voip/mailbox{query}"), customers, others)


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
def test_mailbox_read_with_the_credential_is_of_its_account(customers, method, path, parts):
    service = InProcess(headers_for(customers.account))
    body = None if method == "GET" else SETTINGS
    statement, *writes = asked(service, method, path.format(customers.pk), body)
    assert all(part in statement for part in parts)
    assert all(names_row(write, customers.account) for write in writes)
    digest = ApiCredential.hash(service.headers["X-Auth-Password"])
    assert re.search(rf"WHERE .*secret_sha256 = \('?{digest}", statement)


def test_a_next_page(service, customers, others):
    service.post("/voip/mailbox", SETTINGS)
    link = service.get("/voip/mailbox?limit=1").headers["link"]
    path = re.match("<http://localhost(.*)>", link)[1]
    check(asked(service, "GET", path), customers, others)


def test_every_parameter_is_tried():
    assert {*SEARCHES, "cursor"} == {*ListParameters().fields}


def test_what_starts_elsewhere_is_noticed(customers, others):
    """Every mailbox there is; a mailbox by its uuid alone; another account's."""
    for unbounded in (
        Mailbox.objects.all(),
        Mailbox.objects.filter(pk=customers.pk),
        others[0].account.mailboxes.all(),
        EmailRecipient.objects.filter(email="pete@example.com"),
    ):
        with CaptureQueriesContext(connection) as captured:
            list(unbounded)
        statement = captured[0]["sql"].replace('"', "")
        assert CUSTOMERS_TABLES.match(statement)
        assert not starts_from(customers.account, [statement])
