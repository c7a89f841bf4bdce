"""No customer sees another's data: random calls by accounts, resellers and strangers.

Each answer is compared with a reference model. Every name, address, pass code and UUID shows its
owner, and no answer may contain one of another account than the call acts on. Webhooks are sent the
events of their account and of its customers, and nothing else.
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
from hypothesis.stateful import initialize, invariant, precondition, rule

from mailboxes.contract import status_message
from mailboxes.models import Account, ApiCredential, EmailRecipient, Mailbox
from tests.conftest import headers_for
from tests.guarantees.accounts import (
    ACCOUNTS,
    DIGITS,
    MARKS,
    RESELLER_OF,
    contains_pass_code_of,
)
from tests.guarantees.message_calls import (
    KEYS,
    TRUE_OR_FALSE,
    VERSIONS,
    MessageCalls,
    assert_messages_equal,
    build_content,
    build_form,
    draw_form,
    parse_answer,
)
from tests.guarantees.reference_model import (
    UNKNOWN,
    Call,
    Caller,
    ReferenceModel,
    RefusedError,
    remove_dates,
)
from tests.guarantees.sound_calls import BODIES, SoundCalls, assert_sounds_equal
from tests.guarantees.state_machines import run_machine, wait_for_locks
from tests.guarantees.webhook_calls import (
    WebhookCalls,
    assert_webhooks_equal,
    find_new_secret,
    webhook_bodies,
)
from tests.service import InProcess

ORDERS = [sign + order for order in ("created", "name", "updated") for sign in ("", "-")]
# The service ignores these fields: a client cannot move a mailbox or choose its UUID.
IGNORED = {"account": st.sampled_from(ACCOUNTS), "uuid": st.just(UNKNOWN)}


@cache
def addresses(account):
    """Return few addresses, so that they collide, some in capitals and some malformed."""
    few = [f"{MARKS[account]}{number}@example.com" for number in range(3)]
    return st.sampled_from([*few, few[0].upper(), MARKS[account]])


@cache
def names(account):
    return st.sampled_from([*(f"{MARKS[account]}{number}" for number in range(5)), ""])


@cache
def bodies(account, is_complete):
    """Return bodies for a mailbox of the account. A few are invalid."""
    name = {"name": names(account)}
    codes = st.integers(0, 999).map(lambda number: f"{DIGITS[account]}{number:03}")
    optional = {
        "password": st.none() | codes,
        "greeting": st.none() | st.uuids().map(str),
        "beep": st.booleans(),
        "transcribe": st.booleans(),
    }
    if is_complete:
        return st.fixed_dictionaries(name, optional=optional | IGNORED)
    return st.fixed_dictionaries({}, optional=name | optional | IGNORED)


@cache
def searches():
    """Return parameters of the list that search for any account's data."""
    marks = [MARKS[name] for name in ACCOUNTS]
    texts = st.sampled_from([*marks, *ACCOUNTS, *(f"{mark}0" for mark in marks)])
    emails = st.sampled_from([f"{mark}{number}@example.com" for mark in marks for number in "01"])
    return st.fixed_dictionaries(
        {},
        optional={
            "search": texts,
            "name": texts,
            "recipient": emails,
            "transcribe": TRUE_OR_FALSE,
            "has_password": TRUE_OR_FALSE,
            "deleted": TRUE_OR_FALSE,
        },
    ).flatmap(lambda all_: st.sampled_from([{}, *({name: all_[name]} for name in all_), all_]))


PAGES = st.fixed_dictionaries(
    {},
    optional={
        "order": st.sampled_from(ORDERS),
        "limit": st.sampled_from(["0", "1", "1", "2", "2", "1000"]),
    },
)


class Callers(MessageCalls, SoundCalls, WebhookCalls):
    """Random calls by every caller, while accounts are suspended and credentials revoked."""

    calls: Counter  # calls of all runs, by status
    callers: list[Caller]

    def __init__(self):
        super().__init__()
        self.model = ReferenceModel()
        self.cursors = []
        self.message_cursors = []
        self.delivery_cursors = []
        self.sound_cursors = []
        self.keyed_calls = []

    # --- Random values ----------------------------------------------------------------

    def draw_call(self, data, command, **fields) -> Call:
        """Draw a call of the command by any caller. Most of the callers may make it."""
        members = [caller for caller in self.callers if not caller.refusal]
        caller = data.draw(st.sampled_from(members) | st.sampled_from(self.callers))
        acts_for = data.draw(
            st.none()
            | st.sampled_from([name for name in ACCOUNTS if caller.account in (name, None)] or [""])
            | st.sampled_from(list_customers(caller.account) or [None])
            | st.sampled_from([*ACCOUNTS, "nobody", ""])
        )
        return Call(caller, acts_for, command, **fields)

    def get_account(self, call) -> str:
        """Return the account whose data the call sends, even if it will be refused."""
        try:
            return self.model.get_account(call)
        except RefusedError:
            return call.caller.account or "alone"

    def draw_mailbox(self, data, call) -> str:
        """Draw a mailbox of the account, of any account, or an unknown one."""
        own = [*self.model.get_mailboxes(self.get_account(call))]
        everyones = [*self.model.mailboxes, UNKNOWN]
        return data.draw(st.sampled_from(own or [UNKNOWN]) | st.sampled_from(everyones))

    def draw_recipient(self, data, mailbox) -> str:
        mailboxes = self.model.mailboxes
        own = [*mailboxes.get(mailbox, {}).get("recipients", [])]
        everyones = [uuid for row in mailboxes.values() for uuid in row["recipients"]]
        return data.draw(st.sampled_from(own or [UNKNOWN]) | st.sampled_from([*everyones, UNKNOWN]))

    # --- Calls --------------------------------------------------------------------------

    def make_call(self, call):
        """Make the call, and check that its answer is the model's and contains no other's data."""
        content = build_content(call)
        headers = content.pop("headers") | {
            "X-Auth-For": call.acts_for,
            "Idempotency-Key": call.key,
            "If-Match": None if call.version is None else f'"{call.version}"',
        }
        query = f"?{urlencode(call.parameters)}" if call.parameters else ""
        service = InProcess(call.caller.headers)
        answer = service.call(call.method, call.path + query, **content, headers=headers)
        wait_for_locks()
        envelope = parse_answer(answer)
        new_uuid = envelope["result"].get("uuid") if answer.status == 201 else None
        self.model.new_secret = find_new_secret(call, envelope)
        status, result = self.model.answer_call(call, new_uuid)
        assert answer.status == status, call
        assert remove_dates(envelope["result"]) == result, call
        if status >= 400:
            expected = {"status_code": status, "status_message": status_message(status)}
            optional = {"errors"} if status in (400, 409, 412, 422) else set()
            assert envelope.keys() - optional == {"result", *expected}
            assert envelope | expected == envelope
        self.compare_deliveries()
        self.assert_contains_no_others_data(call, answer)
        self.calls[status] += 1
        return answer

    def assert_contains_no_others_data(self, call, answer):
        try:
            own = self.model.get_account(call)
        except RefusedError:
            own = None
        others = {account for account in ACCOUNTS if account != own}
        if answer.status == 409 and call.command in ("change_sound", "delete_sound"):
            others -= {*list_customers(own)}  # the answer names their mailboxes that use the sound
        text = self.cut_secrets(own, answer.body.decode(errors="replace")).lower()
        assert not contains_pass_code_of(others, text), call
        text += base64.urlsafe_b64decode(get_cursor(answer)).decode()
        text += str({name: value for name, value in answer.headers.items() if name != "link"})
        sent = set((call.body or {}).get("uuids", []))  # the answer repeats them
        for account in others:
            for secret in self.model.get_secrets(account) - sent:
                assert secret not in text, call
                assert secret.replace("-", "") not in text, call  # cursors have UUIDs like this

    @initialize()
    def create_first_mailboxes(self):
        """Create a mailbox with a pass code, a recipient and a message for each account."""
        for caller in self.callers:
            if caller.credential == "api" and not caller.refusal:
                mark, digit = MARKS[caller.account], DIGITS[caller.account]
                body = {"name": f"{mark}0", "password": f"{digit}000"}
                uuid = self.make_call(Call(caller, None, "create", body=body)).result["uuid"]
                body = {"email": f"{mark}0@example.com"}
                self.make_call(Call(caller, None, "add_recipient", mailbox=uuid, body=body))
                body = build_form(caller.account)
                self.make_call(Call(caller, None, "add_message", mailbox=uuid, body=body))

    @rule(data=st.data())
    def authenticate(self, data):
        self.make_call(self.draw_call(data, "authenticated"))

    @rule(data=st.data())
    def find(self, data):
        parameters = data.draw(searches()) | data.draw(PAGES)
        self.make_find_call(self.draw_call(data, "find", parameters=parameters))

    @rule(data=st.data(), known=st.sampled_from([{}, {"limit": "2"}]))
    def find_with_an_unknown_parameter(self, data, known):
        account = data.draw(st.sampled_from(ACCOUNTS))
        call = self.draw_call(data, "find", parameters=known | {"account": account})
        self.make_find_call(call)

    @rule(data=st.data())
    def find_by_uuid(self, data):
        call = self.draw_call(data, "find")
        mailbox = self.draw_mailbox(data, call)
        part = data.draw(st.sampled_from([mailbox, mailbox[:13], mailbox.replace("-", "").upper()]))
        self.make_find_call(replace(call, parameters={"search": part}))

    @precondition(lambda self: self.cursors)
    @rule(data=st.data())
    def next_page(self, data):
        """Ask for any account's next page, by any caller."""
        parameters = data.draw(st.sampled_from(self.cursors))
        self.make_find_call(self.draw_call(data, "find", parameters=parameters))

    def make_find_call(self, call):
        answer = self.make_call(call)
        if answer.status == 200:
            found = self.model.find_all(self.model.get_account(call), call.parameters)
            assert answer.headers["x-total-count"] == str(len(found))
        if cursor := get_cursor(answer):
            order = call.parameters.get("order", "created")
            last = self.model.get_sort_key(order, answer.result[-1]["uuid"])
            self.model.cursors[cursor] = order, last
            self.cursors.append(call.parameters | {"cursor": cursor})

    @rule(data=st.data(), key=KEYS)
    def create(self, data, key):
        call = self.draw_call(data, "create", key=key)
        self.make_keyed_call(
            replace(call, body=data.draw(bodies(self.get_account(call), is_complete=True)))
        )

    @rule(
        data=st.data(),
        command=st.sampled_from(["get", "delete", "history", "recipients"]),
        version=VERSIONS,
    )
    def read_or_delete(self, data, command, version):
        call = self.draw_call(data, command, version=version if command == "delete" else None)
        self.make_call(replace(call, mailbox=self.draw_mailbox(data, call)))

    @rule(data=st.data(), command=st.sampled_from(["replace", "change"]), version=VERSIONS)
    def write(self, data, command, version):
        call = self.draw_call(data, command, version=version)
        body = data.draw(bodies(self.get_account(call), is_complete=command == "replace"))
        self.make_call(replace(call, mailbox=self.draw_mailbox(data, call), body=body))

    @rule(data=st.data(), key=KEYS, version=VERSIONS)
    def restore(self, data, key, version):
        call = self.draw_call(data, "restore", key=key, version=version)
        self.make_keyed_call(replace(call, mailbox=self.draw_mailbox(data, call)))

    @rule(data=st.data(), key=KEYS)
    def add_recipient(self, data, key):
        call = self.draw_call(data, "add_recipient", key=key)
        body = {"email": data.draw(addresses(self.get_account(call)))}
        self.make_keyed_call(replace(call, mailbox=self.draw_mailbox(data, call), body=body))

    @rule(
        data=st.data(),
        command=st.sampled_from(["get_recipient", "change_recipient", "remove_recipient"]),
        version=VERSIONS,
    )
    def use_recipient(self, data, command, version):
        call = self.draw_call(
            data, command, version=None if command == "get_recipient" else version
        )
        mailbox = self.draw_mailbox(data, call)
        call = replace(call, mailbox=mailbox, recipient=self.draw_recipient(data, mailbox))
        if command == "change_recipient":
            call = replace(call, body={"email": data.draw(addresses(self.get_account(call)))})
        self.make_call(call)

    def make_keyed_call(self, call):
        self.make_call(call)
        if call.key:
            self.keyed_calls.append(call)

    @precondition(lambda self: self.keyed_calls)
    @rule(data=st.data(), by_another=st.booleans())
    def repeat(self, data, by_another):
        """Make a call again with the same key, by the same caller or by another."""
        call = data.draw(st.sampled_from(self.keyed_calls))
        if by_another:
            other = self.draw_call(data, call.command)
            call = replace(call, caller=other.caller, acts_for=other.acts_for)
            if call.body:  # the first account's data must not get into the other account
                call = replace(call, body=self.draw_body(data, call))
        self.make_call(call)

    def draw_body(self, data, call) -> dict:
        account = self.get_account(call)
        if call.command == "change_messages":
            return call.body
        if call.command == "add_message":
            return data.draw(draw_form(account))
        if call.command == "create_webhook":
            return data.draw(webhook_bodies(account))
        if call.command == "create_sound":
            return data.draw(BODIES)
        if call.command == "create":
            return data.draw(bodies(account, is_complete=True))
        return {"email": data.draw(addresses(account))}

    # --- Accounts and credentials -----------------------------------------------------

    @rule(name=st.sampled_from([None, *ACCOUNTS]))
    def suspend(self, name):
        """Suspend this account, or none, and reactivate all others."""
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
    def database_equals_the_model(self):
        mailboxes = Mailbox.objects.select_related("account")
        assert {
            str(row.pk): (row.account.name, row.name, row.password, row.is_deleted, row.version)
            for row in mailboxes
        } == {
            uuid: (
                mailbox["account"],
                mailbox["settings"]["name"],
                mailbox["settings"]["password"],
                mailbox["deleted"],
                mailbox["version"],
            )
            for uuid, mailbox in self.model.mailboxes.items()
        }
        recipients = EmailRecipient.objects.values_list("mailbox_id", "uuid", "email")
        assert set(recipients) == {
            (UUID(uuid), UUID(recipient), email)
            for uuid, mailbox in self.model.mailboxes.items()
            for recipient, email in mailbox["recipients"].items()
        }
        assert_messages_equal(self.model.mailboxes)
        assert_sounds_equal(self.model.sounds_by_uuid)
        assert_webhooks_equal(self.model.webhooks_by_uuid)


def get_cursor(answer) -> str:
    """Return the cursor of the next page, or an empty string."""
    address = answer.headers.get("link", "").partition(">")[0]
    return parse_qs(urlsplit(address).query).get("cursor", [""])[0]


def list_customers(account) -> list[str]:
    """Return the account's customers, their customers, and so on."""
    direct = [name for name, reseller in RESELLER_OF.items() if account and reseller == account]
    return direct + [customer for name in direct for customer in list_customers(name)]


@pytest.fixture
def callers(db):
    """Valid credentials of each account, and callers of every kind that must be refused."""
    accounts = {}
    for name, reseller in RESELLER_OF.items():
        accounts[name] = Account.objects.create(name=name, reseller=accounts.get(reseller))
    issue = partial(issue_credential, accounts)
    members = [issue(name, "api") for name in accounts]
    members += [use_bearer(issue(name, "program")) for name in ("north", "south.shop", "alone")]
    members.append(issue("north.shop", "leaver"))
    revoked = issue("north", "revoked", refusal=401)
    ApiCredential.objects.get(name="revoked").revoke()
    expired = issue("south", "expired", refusal=401)
    ApiCredential.objects.filter(name="expired").update(
        expires_at=timezone.now() - timedelta(seconds=1)
    )
    others_secret = issue("south", "of-another-tree").headers["X-Auth-Password"]
    north = members[0].headers
    refused = [
        Caller(None, None, {}, refusal=401),
        Caller("north", "made up", north | {"X-Auth-Password": "made up"}, refusal=401),
        Caller("north", "of another", north | {"X-Auth-Password": others_secret}, refusal=401),
        Caller("south", "of another", north | {"X-Auth-Reseller": "south"}, refusal=401),
        revoked,
        expired,
        issue("north", "elsewhere", refusal=403, networks="192.0.2.0/24"),
    ]
    return [*members, *refused]


def issue_credential(accounts, account, name, refusal=None, **fields):
    return Caller(account, name, headers_for(accounts[account], name, **fields), refusal)


def use_bearer(caller):
    """Return the caller with the secret in the Authorization header."""
    secret = caller.headers["X-Auth-Password"]
    return replace(caller, headers={"Authorization": f"Bearer {secret}"})


def test_other_accounts_data_is_never_read_or_changed(callers, size, promise):
    calls = Counter()
    run_machine(Callers, size(9, 140), callers=callers, calls=calls)
    refused = sum(count for status, count in calls.items() if status >= 400)
    assert calls.total() >= size(200, 5000)
    assert refused > calls.total() / 5
    assert calls[200] + calls[201] + calls[204] > calls.total() / 4
    promise(
        "No customer sees another customer's data",
        f"{calls.total():,} random calls by {len(callers)} callers of {len(ACCOUNTS)} accounts, "
        f"of which {refused:,} had to be refused, each answer compared with a model",
        0,
    )
