"""Random calls on webhooks, for the machine of accounts and callers."""

import re
from collections import defaultdict
from dataclasses import replace
from functools import cache
from urllib.parse import parse_qs, urlsplit

import orjson
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from mailboxes.contract import WEBHOOK_EVENTS
from mailboxes.delivery.webhooks import announce_changes, note_attempt
from mailboxes.models import WebhookDelivery, WebhookEndpoint
from tests.guarantees.accounts import ACCOUNTS, MARKS
from tests.guarantees.message_calls import KEYS, VERSIONS
from tests.guarantees.reference_model import UNKNOWN, Call, remove_dates
from tests.guarantees.state_machines import RolledBackMachine

SECRET = re.compile(r"whsec_[\w+/=]+")
EVENTS = st.lists(st.sampled_from(WEBHOOK_EVENTS), unique=True).map(
    lambda events: sorted(events, key=WEBHOOK_EVENTS.index)
)
# The service ignores these fields: a client cannot move a webhook or choose its UUID or secret.
IGNORED = {"account": st.sampled_from(ACCOUNTS), "uuid": st.just(UNKNOWN)}
IGNORED |= {"secret": st.just("whsec_chosen")}


@cache
def webhook_bodies(account):
    """Return bodies for a webhook of the account. A few are invalid or incomplete."""
    mark = MARKS[account]
    urls = [f"https://{mark}{number}.example.com/hook" for number in range(3)]
    required = {
        "url": st.sampled_from([*urls, mark]),
        "events": st.just([*WEBHOOK_EVENTS]) | EVENTS,
    }
    optional = {"include_customers": st.booleans(), "is_active": st.booleans()} | IGNORED
    complete = st.fixed_dictionaries(required, optional=optional)
    return complete | complete | st.fixed_dictionaries({}, optional=required | optional)


def find_new_secret(call, envelope) -> str | None:
    if call.command in ("create_webhook", "rotate"):
        return envelope["result"].get("secret")
    return None


class WebhookCalls(RolledBackMachine):
    """The rules for calls on webhooks, and for the worker that sends events."""

    delivery_cursors: list

    def draw_webhook(self, data, call) -> str:
        """Draw a webhook of the account, of any account, or an unknown one."""
        own = [*self.model.get_webhooks(self.get_account(call))]
        everyones = [*self.model.webhooks_by_uuid, UNKNOWN]
        return data.draw(st.sampled_from(own or [UNKNOWN]) | st.sampled_from(everyones))

    def draw_delivery(self, data, webhook) -> str:
        webhooks = self.model.webhooks_by_uuid
        own = [row["id"] for row in webhooks.get(webhook, {}).get("deliveries", [])]
        everyones = [row["id"] for hook in webhooks.values() for row in hook["deliveries"]]
        return data.draw(st.sampled_from(own or [UNKNOWN]) | st.sampled_from([*everyones, UNKNOWN]))

    @initialize()
    def create_first_webhooks(self):
        """Create a webhook for each account. Of the three resellers, one includes its customers."""
        for caller in self.callers:
            if caller.credential == "api" and not caller.refusal:
                body = {
                    "url": f"https://{MARKS[caller.account]}0.example.com/hook",
                    "events": [*WEBHOOK_EVENTS],
                    "include_customers": caller.account == "north",
                }
                self.make_call(Call(caller, None, "create_webhook", body=body))

    @rule(data=st.data())
    def list_webhooks(self, data):
        self.make_call(self.draw_call(data, "webhooks"))

    @rule(data=st.data(), key=KEYS)
    def create_webhook(self, data, key):
        call = self.draw_call(data, "create_webhook", key=key)
        body = data.draw(webhook_bodies(self.get_account(call)))
        self.make_keyed_call(replace(call, body=body))

    @rule(
        data=st.data(),
        command=st.sampled_from(["webhook", "change_webhook", "delete_webhook"]),
        version=VERSIONS,
    )
    def use_webhook(self, data, command, version):
        call = self.draw_call(data, command, version=None if command == "webhook" else version)
        call = replace(call, webhook=self.draw_webhook(data, call))
        if command == "change_webhook":
            call = replace(call, body=data.draw(webhook_bodies(self.get_account(call))))
        self.make_call(call)

    @rule(data=st.data(), key=KEYS, version=VERSIONS)
    def rotate(self, data, key, version):
        call = self.draw_call(data, "rotate", key=key, version=version)
        self.make_keyed_call(replace(call, webhook=self.draw_webhook(data, call)))

    @rule(data=st.data(), limit=st.sampled_from([None, "0", "1", "1", "2"]))
    def list_deliveries(self, data, limit):
        call = self.draw_call(data, "deliveries", parameters={"limit": limit} if limit else {})
        self.make_deliveries_call(replace(call, webhook=self.draw_webhook(data, call)))

    @precondition(lambda self: self.delivery_cursors)
    @rule(data=st.data())
    def next_page_of_deliveries(self, data):
        """Ask for the next page of any webhook, of any webhook, by any caller."""
        parameters = data.draw(st.sampled_from(self.delivery_cursors))
        call = self.draw_call(data, "deliveries", parameters=parameters)
        self.make_deliveries_call(replace(call, webhook=self.draw_webhook(data, call)))

    def make_deliveries_call(self, call):
        answer = self.make_call(call)
        if link := answer.headers.get("link"):
            (cursor,) = parse_qs(urlsplit(link.partition(">")[0]).query)["cursor"]
            last = WebhookDelivery.objects.get(pk=answer.result[-1]["id"])
            self.model.delivery_cursors[cursor] = last.created_at, str(last.pk)
            self.delivery_cursors.append(call.parameters | {"cursor": cursor})

    @rule(data=st.data(), key=KEYS)
    def replay(self, data, key):
        call = self.draw_call(data, "replay", key=key)
        webhook = self.draw_webhook(data, call)
        delivery = self.draw_delivery(data, webhook)
        self.make_keyed_call(replace(call, webhook=webhook, delivery=delivery))

    # --- The worker -------------------------------------------------------------------

    @rule()
    def announce_changes(self):
        announce_changes()
        self.model.announce_changes()
        self.compare_deliveries()

    @precondition(lambda self: self.model.find_pending())
    @rule(data=st.data(), status=st.sampled_from([200, 200, 500, 410]))
    def attempt(self, data, status):
        """Note an answer of the receiver, which only the webhook's account may see."""
        webhook, delivery = data.draw(st.sampled_from(self.model.find_pending()))
        text = f"{MARKS[webhook['account']]} has it"
        deliveries = WebhookDelivery.objects.select_related("endpoint__account")
        note_attempt(deliveries.get(pk=delivery["id"]), status, text)
        self.model.note_attempt(webhook, delivery, status, text)

    # --- Data -------------------------------------------------------------------------

    def cut_secrets(self, own, text) -> str:
        """Return the text without secrets, which are random. They must be the account's own."""
        owners = {self.model.secret_owners.get(secret) for secret in SECRET.findall(text)}
        assert owners <= {own}
        return SECRET.sub("", text)

    def compare_deliveries(self):
        """Assert that the database has the model's deliveries, and set ids and times of new ones."""
        found = defaultdict(list)
        for row in WebhookDelivery.objects.order_by("created_at"):
            found[str(row.endpoint_id)].append(row)
        assert found.keys() <= self.model.webhooks_by_uuid.keys()
        for uuid, webhook in self.model.webhooks_by_uuid.items():
            known = [delivery for delivery in webhook["deliveries"] if delivery["id"]]
            new = webhook["deliveries"][len(known) :]
            rows = found[uuid]
            compare_new_deliveries(rows[len(known) :], new)
            rows = {str(row.pk): (row.event, row.state, row.attempts, row.status) for row in rows}
            assert rows == {
                row["id"]: (row["event"], row["state"], row["attempts"], row["status"])
                for row in webhook["deliveries"]
            }


def compare_new_deliveries(rows, new) -> None:
    """Assert that the rows are the new deliveries. There is no order between accounts."""
    events = [(row, remove_dates(orjson.loads(row.content["body"]))) for row in rows]
    events.sort(key=lambda event: ACCOUNTS.index(event[1]["data"]["account"]))
    assert [(event["type"], event["data"]) for _row, event in events] == [
        (delivery["event"], delivery["data"]) for delivery in new
    ]
    for (row, _event), delivery in zip(events, new, strict=True):
        delivery |= {"id": str(row.pk), "at": row.created_at}


def assert_webhooks_equal(webhooks) -> None:
    """Assert that the database holds the model's webhooks."""
    rows = WebhookEndpoint.objects.select_related("account")
    assert {
        str(row.pk): (
            row.account.name,
            row.url,
            row.events,
            row.include_customers,
            row.is_active,
            row.version,
            row.signing_secrets,
        )
        for row in rows
    } == {
        uuid: (
            row["account"],
            row["url"],
            row["events"],
            row["include_customers"],
            row["is_active"],
            row["version"],
            row["secrets"],
        )
        for uuid, row in webhooks.items()
    }
