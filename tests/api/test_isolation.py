"""Another account's mailboxes and recipients cannot be seen or changed by any path: one table."""

import pytest

from mailboxes.models import Account, ApiCredential, EmailRecipient, Mailbox
from tests.conftest import headers_for
from tests.service import InProcess

MAILBOX = "/voip/mailbox/{mailbox}"
RECIPIENTS = "/voip/mailbox/{mailbox}/email-recipient"
RECIPIENT = "/voip/mailbox/{mailbox}/email-recipient/{recipient}"
MIXED = "/voip/mailbox/{own}/email-recipient/{recipient}"  # the caller's mailbox, their recipient

# What `owner`'s mailbox and recipient answer to whom. `reseller` acts for the owner, the
# others name nobody, or somebody they may not act for.
WHO = ["owner", "reseller", "alone", "stranger", "sibling", "customer", "posing", "nobody"]
TABLE = [
    # method, path,     owner, reseller, alone, stranger, sibling, customer, posing, nobody
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


def caller(who):
    """The service as each of WHO calls it, and the mailbox that is the caller's own."""
    if who == "nobody":
        return InProcess(), Mailbox.objects.get(account__name="stranger")
    name = {"alone": "reseller", "posing": "stranger"}.get(who, who)
    account = Account.objects.get(name=name)
    headers = headers_for(account)
    if who in ("reseller", "posing"):
        headers["X-Auth-For"] = "owner"
    second = Mailbox.objects.create(
        account=Account.objects.get(name="owner") if who in ("owner", "reseller") else account,
        name="Second",
    )
    return InProcess(headers), second


def state():
    """All that the owner has, as the database holds it."""
    return list(Mailbox.objects.filter(account__name="owner").order_by("pk").values()), list(
        EmailRecipient.objects.order_by("pk").values()
    )


@pytest.mark.parametrize(
    ("method", "path", "who", "status"),
    [
        (method, path, who, status)
        for method, path, *statuses in TABLE
        for who, status in zip(WHO, statuses, strict=True)
    ],
)
def test_table(owner, method, path, who, status):
    service, own = caller(who)
    recipient = EmailRecipient.objects.get()
    path = path.format(mailbox=recipient.mailbox_id, recipient=recipient.pk, own=own.pk)
    before = state()
    answer = service.call(method, path, BODY)
    assert answer.status == status
    if status >= 400:
        assert state() == before
        assert b"Box of owner" not in answer.body


@pytest.mark.parametrize("name", ["owner", "reseller", "sibling", "customer", "stranger"])
def test_a_list_holds_ones_own_mailboxes_only(owner, name):
    service = InProcess(headers_for(Account.objects.get(name=name)))
    assert [box["name"] for box in service.get("/voip/mailbox").result] == [f"Box of {name}"]


def test_a_mailbox_cannot_be_moved_to_another_account(owner):
    service = InProcess(headers_for(owner))
    mailbox = Mailbox.objects.get(account=owner)
    for account in ("stranger", Account.objects.get(name="stranger").pk):
        service.put(f"/voip/mailbox/{mailbox.pk}", {"name": "x", "account": account})
    mailbox.refresh_from_db()
    assert mailbox.account == owner
    assert ApiCredential.objects.count() == 1
