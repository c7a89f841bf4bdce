"""A table of statuses: accounts cannot read or change the rows of other accounts."""

import pytest

from mailboxes.models import Account, ApiCredential, EmailRecipient, Mailbox
from tests.conftest import headers_for
from tests.service import InProcess

MAILBOX = "/voip/mailbox/{mailbox}"
RECIPIENTS = "/voip/mailbox/{mailbox}/email-recipient"
RECIPIENT = "/voip/mailbox/{mailbox}/email-recipient/{recipient}"
# The owner's recipient under the caller's own mailbox.
MIXED = "/voip/mailbox/{own}/email-recipient/{recipient}"

# The status of each call for the mailbox and recipient of `owner`. `reseller` acts for the owner with
# X-Auth-For, and `alone` is the reseller without it. `posing` is a stranger who tries to.
CALLERS = ["owner", "reseller", "alone", "stranger", "sibling", "customer", "posing", "anonymous"]
TABLE = [
    # method, path,     owner, reseller, alone, stranger, sibling, customer, posing, anonymous
    ("GET", MAILBOX, 200, 200, 404, 404, 404, 404, 403, 401),
    ("PUT", MAILBOX, 200, 200, 404, 404, 404, 404, 403, 401),
    ("PATCH", MAILBOX, 200, 200, 404, 404, 404, 404, 403, 401),
    ("DELETE", MAILBOX, 204, 204, 404, 404, 404, 404, 403, 401),
    ("GET", RECIPIENTS, 200, 200, 404, 404, 404, 404, 403, 401),
    ("POST", RECIPIENTS, 201, 201, 404, 404, 404, 404, 403, 401),
    ("GET", RECIPIENT, 200, 200, 404, 404, 404, 404, 403, 401),
    ("PUT", RECIPIENT, 200, 200, 404, 404, 404, 404, 403, 401),
    ("DELETE", RECIPIENT, 204, 204, 404, 404, 404, 404, 403, 401),
    ("GET", MIXED, 404, 404, 404, 404, 404, 404, 403, 401),
    ("PUT", MIXED, 404, 404, 404, 404, 404, 404, 403, 401),
    ("DELETE", MIXED, 404, 404, 404, 404, 404, 404, 403, 401),
    ("OPTIONS", MAILBOX, 405, 405, 405, 405, 405, 405, 405, 405),
    ("POST", MAILBOX, 405, 405, 405, 405, 405, 405, 405, 405),
    ("GET", "/voip/unknown", 404, 404, 404, 404, 404, 404, 404, 404),
]
BODY = {"name": "Changed", "email": "changed@example.com"}


@pytest.fixture
def owner(db):
    reseller = Account.objects.create(name="reseller")
    owner = Account.objects.create(name="owner", reseller=reseller)
    Account.objects.create(name="sibling", reseller=reseller)
    Account.objects.create(name="customer", reseller=owner)
    Account.objects.create(name="stranger")
    for account in Account.objects.all():
        Mailbox.objects.create(account=account, name=f"Box of {account}")
    Mailbox.objects.get(account=owner).add_recipient("pete@example.com")
    return owner


def connect(caller):
    """Return the service as one of CALLERS calls it, and a mailbox of that caller."""
    if caller == "anonymous":
        return InProcess(), Mailbox.objects.get(account__name="stranger")
    name = {"alone": "reseller", "posing": "stranger"}.get(caller, caller)
    account = Account.objects.get(name=name)
    headers = headers_for(account)
    if caller in ("reseller", "posing"):
        headers["X-Auth-For"] = "owner"
    second = Mailbox.objects.create(
        account=Account.objects.get(name="owner") if caller in ("owner", "reseller") else account,
        name="Second",
    )
    return InProcess(headers), second


def read_rows():
    """Return the owner's mailboxes and recipients as the database has them."""
    return list(Mailbox.objects.filter(account__name="owner").order_by("pk").values()), list(
        EmailRecipient.objects.order_by("pk").values()
    )


@pytest.mark.parametrize(
    ("method", "path", "caller", "status"),
    [
        (method, path, caller, status)
        for method, path, *statuses in TABLE
        for caller, status in zip(CALLERS, statuses, strict=True)
    ],
)
def test_refused_caller_changes_nothing_and_sees_nothing(owner, method, path, caller, status):
    service, own = connect(caller)
    recipient = EmailRecipient.objects.get()
    path = path.format(mailbox=recipient.mailbox_id, recipient=recipient.pk, own=own.pk)
    before = read_rows()
    answer = service.call(method, path, BODY)
    assert answer.status == status
    if status >= 400:
        assert read_rows() == before
        assert b"Box of owner" not in answer.body


@pytest.mark.parametrize("name", ["owner", "reseller", "sibling", "customer", "stranger"])
def test_list_has_only_the_accounts_own_mailboxes(owner, name):
    service = InProcess(headers_for(Account.objects.get(name=name)))
    assert [box["name"] for box in service.get("/voip/mailbox").result] == [f"Box of {name}"]


def test_mailbox_cannot_be_moved_to_another_account(owner):
    service = InProcess(headers_for(owner))
    mailbox = Mailbox.objects.get(account=owner)
    for account in ("stranger", Account.objects.get(name="stranger").pk):
        service.put(f"/voip/mailbox/{mailbox.pk}", {"name": "x", "account": account})
    mailbox.refresh_from_db()
    assert mailbox.account == owner
    assert ApiCredential.objects.count() == 1
