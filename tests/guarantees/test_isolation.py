"""Customers never see each other: random calls by accounts, resellers and strangers, each answer compared with a model.

Whatever a name, an address, a pass code or a uuid is of, it is known whose it is; no answer may
carry one that is not of the account that the call acts on.
"""

import base64
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from functools import cache, partial
from urllib.parse import parse_qs, urlencode, urlsplit
from uuid import UUID

import pytest
from django.utils import timezone
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, rule

from mailboxes.api.urls import urlpatterns
from mailboxes.contract import status_message
from mailboxes.models import Account, ApiCredential, EmailRecipient, Mailbox
from tests.conftest import headers_for
from tests.guarantees.machines import CleanMachine, run
from tests.guarantees.model import (
    ACCOUNTS,
    COMMANDS,
    DIGITS,
    MARKS,
    RESELLER_OF,
    Call,
    Caller,
    Model,
    RefusedError,
    shows_pass_code_of,
    undated,
)
from tests.service import InProcess

UNKNOWN = "00000000-0000-4000-8000-000000000000"
KEYS = st.sampled_from([None, None, "one", "two"])
VERSIONS = st.sampled_from([None, None, None, 1, 2, 3])
YES_OR_NO = st.sampled_from(["true", "false"])
ORDERS = [sign + order for order in ("created", "name", "updated") for sign in ("", "-")]
# What a client may send along, and what is ignored: nothing is moved or taken over by it.
STRAY = {"account": st.sampled_from(ACCOUNTS), "uuid": st.just(UNKNOWN)}


@cache
def addresses(account):
    """Few, so that they clash; some in capitals."""
    few = [f"{MARKS[account]}{number}@example.com" for number in range(3)]
    return st.sampled_from([*few, few[0].upper(), MARKS[account]])


@cache
def names(account):
    return st.sampled_from([*(f"{MARKS[account]}{number}" for number in range(5)), ""])


@cache
def bodies(account, whole):
    """Bodies of a mailbox of the account's, a few of them wrong."""
    name = {"name": names(account)}
    codes = st.integers(0, 999).map(lambda number: f"{DIGITS[account]}{number:03}")
    optional = {
        "password": st.none() | codes,
        "greeting": st.none() | st.uuids().map(str),
        "beep": st.booleans(),
        "transcribe": st.booleans(),
    }
    if whole:
        return st.fixed_dictionaries(name, optional=optional | STRAY)
    return st.fixed_dictionaries({}, optional=name | optional | STRAY)


@cache
def searches():
    """Parameters of the list, after anybody's data."""
    of_anybody = [MARKS[name] for name in ACCOUNTS]
    texts = st.sampled_from([*of_anybody, *ACCOUNTS, *(f"{mark}0" for mark in of_anybody)])
    emails = st.sampled_from(
        [f"{mark}{number}@example.com" for mark in of_anybody for number in "01"]
    )
    return st.fixed_dictionaries(
        {},
        optional={
            "search": texts,
            "name": texts,
            "recipient": emails,
            "transcribe": YES_OR_NO,
            "has_password": YES_OR_NO,
            "deleted": YES_OR_NO,
        },
    ).flatmap(lambda asked: st.sampled_from([{}, *({name: asked[name]} for name in asked), asked]))


PAGES = st.fixed_dictionaries(
    {},
    optional={
        "order": st.sampled_from(ORDERS),
        "limit": st.sampled_from(["0", "1", "1", "2", "2", "1000"]),
    },
)


class Callers(CleanMachine):
    """Calls of every command by everybody, and accounts suspended and credentials revoked in between."""

    calls: Counter  # of the whole run, by status
    callers: list[Caller]

    def __init__(self):
        super().__init__()
        self.model = Model()
        self.cursors = []
        self.keyed = []

    # --- What is drawn ----------------------------------------------------------------

    def call(self, data, command, **more) -> Call:
        """A call of the command by anybody, more often than not by one who may."""
        members = [caller for caller in self.callers if not caller.refused]
        caller = data.draw(st.sampled_from(members) | st.sampled_from(self.callers))
        acts_for = data.draw(
            st.none()
            | st.sampled_from([name for name in ACCOUNTS if caller.account in (name, None)] or [""])
            | st.sampled_from(customers(caller.account) or [None])
            | st.sampled_from([*ACCOUNTS, "nobody", ""])
        )
        return Call(caller, acts_for, command, **more)

    def account(self, call) -> str:
        """Whose the drawn data is to be, also where the call will be refused."""
        try:
            return self.model.acts_on(call)
        except RefusedError:
            return call.caller.account or "alone"

    def mailbox(self, data, call) -> str:
        """Often one of the account's, otherwise anybody's or nobody's."""
        own = [*self.model.owned(self.account(call))]
        return data.draw(
            st.sampled_from(own or [UNKNOWN]) | st.sampled_from([*self.model.boxes, UNKNOWN])
        )

    def recipient(self, data, mailbox) -> str:
        own = [*self.model.boxes.get(mailbox, {}).get("recipients", [])]
        anybodys = [uuid for box in self.model.boxes.values() for uuid in box["recipients"]]
        return data.draw(st.sampled_from(own or [UNKNOWN]) | st.sampled_from([*anybodys, UNKNOWN]))

    # --- Calls --------------------------------------------------------------------------

    def make(self, call):
        """Make the call; what comes back is what the model says, and nothing of anybody else."""
        headers = {
            "X-Auth-For": call.acts_for,
            "Idempotency-Key": call.key,
            "If-Match": None if call.version is None else f'"{call.version}"',
        }
        query = f"?{urlencode(call.parameters)}" if call.parameters else ""
        service = InProcess(call.caller.headers)
        answer = service.call(call.method, call.path + query, call.body, headers=headers)
        found = answer.json if answer.body else {"result": None}
        made = found["result"].get("uuid") if answer.status == 201 else None
        status, result = self.model.answer(call, made)
        assert answer.status == status, call
        assert undated(found["result"]) == result, call
        if status >= 400:
            expected = {"status_code": status, "status_message": status_message(status)}
            explained = {"errors"} if status in (400, 409, 412, 422) else set()
            assert found.keys() - explained == {"result", *expected}
            assert found | expected == found
        self.carries_nothing_of_others(call, answer)
        self.calls[status] += 1
        return answer

    def carries_nothing_of_others(self, call, answer):
        try:
            own = self.model.acts_on(call)
        except RefusedError:
            own = None
        others = [account for account in ACCOUNTS if account != own]
        text = answer.body.decode().lower()
        assert not shows_pass_code_of(others, text), call
        text += base64.urlsafe_b64decode(
            cursor_of(answer)
        ).decode()  # the uuid in it without hyphens
        text += str({name: value for name, value in answer.headers.items() if name != "link"})
        for account in others:
            for secret in self.model.secrets(account):
                assert secret not in text, call
                assert secret.replace("-", "") not in text, call

    @initialize()
    def plant(self):
        """Everybody has a mailbox with a pass code and a recipient."""
        for caller in self.callers:
            if caller.credential == "api" and not caller.refused:
                mark, digit = MARKS[caller.account], DIGITS[caller.account]
                body = {"name": f"{mark}0", "password": f"{digit}000"}
                uuid = self.make(Call(caller, None, "create", body=body)).result["uuid"]
                body = {"email": f"{mark}0@example.com"}
                self.make(Call(caller, None, "add_recipient", mailbox=uuid, body=body))

    @rule(data=st.data())
    def authenticate(self, data):
        self.make(self.call(data, "authenticated"))

    @rule(data=st.data())
    def find(self, data):
        parameters = data.draw(searches()) | data.draw(PAGES)
        self.find_with(self.call(data, "find", parameters=parameters))

    @rule(data=st.data(), stray=st.sampled_from([{}, {"limit": "2"}]))
    def find_with_a_stray_parameter(self, data, stray):
        account = data.draw(st.sampled_from(ACCOUNTS))
        self.find_with(self.call(data, "find", parameters=stray | {"account": account}))

    @rule(data=st.data())
    def find_by_uuid(self, data):
        call = self.call(data, "find")
        mailbox = self.mailbox(data, call)
        part = data.draw(st.sampled_from([mailbox, mailbox[:13], mailbox.replace("-", "").upper()]))
        self.find_with(replace(call, parameters={"search": part}))

    @rule(data=st.data())
    def next_page(self, data):
        """Anybody's next page, by whoever got hold of its cursor."""
        if self.cursors:
            parameters = data.draw(st.sampled_from(self.cursors))
            self.find_with(self.call(data, "find", parameters=parameters))

    def find_with(self, call):
        answer = self.make(call)
        if answer.status == 200:
            found = self.model.found(self.model.acts_on(call), call.parameters)
            assert answer.headers["x-total-count"] == str(len(found))
        if cursor := cursor_of(answer):
            order = call.parameters.get("order", "created")
            place = self.model.key(order, answer.result[-1]["uuid"])
            self.model.places[cursor] = order, place
            self.cursors.append(call.parameters | {"cursor": cursor})

    @rule(data=st.data(), key=KEYS)
    def create(self, data, key):
        call = self.call(data, "create", key=key)
        self.make_keyed(replace(call, body=data.draw(bodies(self.account(call), whole=True))))

    @rule(
        data=st.data(),
        command=st.sampled_from(["get", "delete", "history", "recipients"]),
        version=VERSIONS,
    )
    def look_or_delete(self, data, command, version):
        call = self.call(data, command, version=version if command == "delete" else None)
        self.make(replace(call, mailbox=self.mailbox(data, call)))

    @rule(data=st.data(), command=st.sampled_from(["replace", "change"]), version=VERSIONS)
    def write(self, data, command, version):
        call = self.call(data, command, version=version)
        body = data.draw(bodies(self.account(call), whole=command == "replace"))
        self.make(replace(call, mailbox=self.mailbox(data, call), body=body))

    @rule(data=st.data(), key=KEYS, version=VERSIONS)
    def restore(self, data, key, version):
        call = self.call(data, "restore", key=key, version=version)
        self.make_keyed(replace(call, mailbox=self.mailbox(data, call)))

    @rule(data=st.data(), key=KEYS)
    def add_recipient(self, data, key):
        call = self.call(data, "add_recipient", key=key)
        body = {"email": data.draw(addresses(self.account(call)))}
        self.make_keyed(replace(call, mailbox=self.mailbox(data, call), body=body))

    @rule(
        data=st.data(),
        command=st.sampled_from(["get_recipient", "change_recipient", "remove_recipient"]),
        version=VERSIONS,
    )
    def one_recipient(self, data, command, version):
        call = self.call(data, command, version=None if command == "get_recipient" else version)
        mailbox = self.mailbox(data, call)
        call = replace(call, mailbox=mailbox, recipient=self.recipient(data, mailbox))
        if command == "change_recipient":
            call = replace(call, body={"email": data.draw(addresses(self.account(call)))})
        self.make(call)

    def make_keyed(self, call):
        self.make(call)
        if call.key:
            self.keyed.append(call)

    @rule(data=st.data(), by_another=st.booleans())
    def repeat(self, data, by_another):
        """The same call with the same key, by the same caller or by another."""
        if self.keyed:
            call = data.draw(st.sampled_from(self.keyed))
            if by_another:
                other = self.call(data, call.command)
                call = replace(call, caller=other.caller, acts_for=other.acts_for)
                if (
                    call.body
                ):  # with data of the other's own, or it would plant the first one's there
                    account = self.account(call)
                    call = replace(call, body=drawn_again(data, call, account))
            self.make(call)

    # --- What happens to accounts -----------------------------------------------------

    @rule(name=st.sampled_from([None, *ACCOUNTS]))
    def suspend(self, name):
        """This account, and no other."""
        for account in Account.objects.filter(is_active=False):
            account.reactivate()
        for account in Account.objects.filter(name=name):
            account.suspend()
        self.model.suspended = {name}

    @rule()
    def revoke(self):
        ApiCredential.objects.get(name="leaver").revoke()
        self.model.revoked.add("leaver")

    @invariant()
    def the_database_holds_what_the_model_says(self):
        mailboxes = Mailbox.objects.select_related("account")
        assert {
            str(row.pk): (row.account.name, row.name, row.password, row.is_deleted, row.version)
            for row in mailboxes
        } == {
            uuid: (
                box["account"],
                box["settings"]["name"],
                box["settings"]["password"],
                box["deleted"],
                box["version"],
            )
            for uuid, box in self.model.boxes.items()
        }
        recipients = EmailRecipient.objects.values_list("mailbox_id", "uuid", "email")
        assert set(recipients) == {
            (UUID(uuid), UUID(recipient), email)
            for uuid, box in self.model.boxes.items()
            for recipient, email in box["recipients"].items()
        }


def drawn_again(data, call, account):
    if call.command == "create":
        return data.draw(bodies(account, whole=True))
    return {"email": data.draw(addresses(account))}


def cursor_of(answer) -> str:
    """The cursor of the next page, or nothing."""
    address = answer.headers.get("link", "").partition(">")[0]
    return parse_qs(urlsplit(address).query).get("cursor", [""])[0]


def customers(account) -> list[str]:
    """Direct ones, and further down."""
    below = [name for name, reseller in RESELLER_OF.items() if account and reseller == account]
    return below + [further for name in below for further in customers(name)]


@pytest.fixture
def callers(db):
    """Each account's own credential in both forms, and strangers of every kind."""
    accounts = {}
    for name, reseller in RESELLER_OF.items():
        accounts[name] = Account.objects.create(name=name, reseller=accounts.get(reseller))
    issue = partial(issued, accounts)
    members = [issue(name, "api") for name in accounts]
    members += [bearer(issue(name, "program")) for name in ("north", "south.shop", "alone")]
    members.append(issue("north.shop", "leaver"))
    revoked = issue("north", "revoked", refused=401)
    ApiCredential.objects.get(name="revoked").revoke()
    expired = issue("south", "expired", refused=401)
    ApiCredential.objects.filter(name="expired").update(
        expires_at=timezone.now() - timedelta(seconds=1)
    )
    of_another = issue("south", "of-another-tree").headers["X-Auth-Password"]
    north = members[0].headers
    strangers = [
        Caller(None, None, {}, refused=401),
        Caller("north", "made up", north | {"X-Auth-Password": "made up"}, refused=401),
        Caller("north", "of another", north | {"X-Auth-Password": of_another}, refused=401),
        Caller("south", "of another", north | {"X-Auth-Reseller": "south"}, refused=401),
        revoked,
        expired,
        issue("north", "elsewhere", refused=403, networks="192.0.2.0/24"),
    ]
    return [*members, *strangers]


def issued(accounts, account, name, refused=None, **fields):
    """A caller with a new credential of the account."""
    return Caller(account, name, headers_for(accounts[account], name, **fields), refused)


def bearer(caller):
    """The same, who sends the secret alone."""
    secret = caller.headers["X-Auth-Password"]
    return replace(caller, headers={"Authorization": f"Bearer {secret}"})


def test_no_account_sees_or_changes_what_is_anothers(callers, size, promise):
    counted = Counter()
    run(Callers, size(9, 140), callers=callers, calls=counted)
    refused = sum(count for status, count in counted.items() if status >= 400)
    assert counted.total() >= size(200, 5000)
    assert refused > counted.total() / 5
    assert counted[200] + counted[201] + counted[204] > counted.total() / 4
    promise(
        "Customers never see each other",
        f"{counted.total():,} random calls by {len(callers)} callers of {len(ACCOUNTS)} accounts, "
        f"{refused:,} of them to be refused, each answer compared with a model",
        0,
    )


def test_the_machine_knows_every_command():
    """A command that is added is added to the model too."""
    served = {
        (method.upper(), pattern.name)
        for pattern in urlpatterns
        for method in getattr(pattern.callback, "actions", {"get": "get"})
        if pattern.name != "schema" and method != "head"
    }
    known = {
        (method, pattern.name)
        for method, path in COMMANDS.values()
        for pattern in urlpatterns
        if pattern.resolve(path.format(mailbox=UNKNOWN, recipient=UNKNOWN).lstrip("/"))
    }
    assert known == served
