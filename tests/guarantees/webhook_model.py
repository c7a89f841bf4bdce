"""The part of the reference model that answers calls on webhooks, and sends them events."""

from tests.guarantees.accounts import ACCOUNTS, iterate_resellers
from tests.guarantees.message_model import RefusedError, refuse_changed

SWITCHES = {"include_customers": False, "is_active": True}
GONE = 410
MAX_TRIES = 8


class WebhookModel:
    """Webhooks are in a dict by UUID, each with its deliveries, oldest first."""

    def get_webhooks(self, account) -> dict:
        webhooks = self.webhooks_by_uuid.items()
        return {uuid: webhook for uuid, webhook in webhooks if webhook["account"] == account}

    def get_webhook(self, account, call) -> dict:
        if call.webhook not in self.get_webhooks(account):
            raise RefusedError(404)
        return self.webhooks_by_uuid[call.webhook]

    def get_all_deliveries(self, webhook) -> list[dict]:
        """Return the deliveries, newest first."""
        return sorted(webhook["deliveries"], key=get_delivery_key, reverse=True)

    def find_pending(self) -> list[tuple[dict, dict]]:
        """Return the deliveries that are not finished, each after its webhook."""
        return [
            (webhook, delivery)
            for webhook in self.webhooks_by_uuid.values()
            for delivery in webhook["deliveries"]
            if delivery["state"] == "pending"
        ]

    # --- Commands -------------------------------------------------------------------

    def webhooks(self, account, call, new_uuid):
        return 200, [*map(self.show_webhook, self.get_webhooks(account))]

    def create_webhook(self, account, call, new_uuid):
        webhook = {"account": account, "since": None, "version": 0, "deliveries": []}
        self.change_fields(webhook, SWITCHES | get_fields(call.body, ("url", "events")))
        self.webhooks_by_uuid[new_uuid] = webhook
        webhook["secrets"] = [self.issue_secret(account)]
        return 201, self.show_webhook(new_uuid) | {"secret": webhook["secrets"][0]}

    def webhook(self, account, call, new_uuid):
        self.get_webhook(account, call)
        return 200, self.show_webhook(call.webhook)

    def change_webhook(self, account, call, new_uuid):
        webhook = self.get_webhook(account, call)
        refuse_changed(webhook, call)
        self.change_fields(webhook, get_fields(call.body))
        return 200, self.show_webhook(call.webhook)

    def delete_webhook(self, account, call, new_uuid):
        refuse_changed(self.get_webhook(account, call), call)
        del self.webhooks_by_uuid[call.webhook]
        return 204, None

    def rotate(self, account, call, new_uuid):
        webhook = self.get_webhook(account, call)
        refuse_changed(webhook, call)
        new = self.issue_secret(account)
        webhook["secrets"] = [new, webhook["secrets"][0]]
        webhook["version"] += 1
        return 200, self.show_webhook(call.webhook) | {"secret": new}

    def deliveries(self, account, call, new_uuid):
        if call.parameters.get("limit") == "0":
            raise RefusedError(400)
        found = self.get_all_deliveries(self.get_webhook(account, call))
        if "cursor" in call.parameters:
            last = self.delivery_cursors[call.parameters["cursor"]]
            found = [delivery for delivery in found if get_delivery_key(delivery) < last]
        limit = int(call.parameters.get("limit", len(found)))
        return 200, [*map(show_delivery, found[:limit])]

    def replay(self, account, call, new_uuid):
        webhook = self.get_webhook(account, call)
        delivery = {row["id"]: row for row in webhook["deliveries"]}.get(call.delivery)
        if delivery is None:
            raise RefusedError(404)
        if not webhook["is_active"]:
            raise RefusedError(409)
        delivery |= {"state": "pending", "tries": 0}
        return 202, show_delivery(delivery)

    # --- Events ---------------------------------------------------------------------

    def find_reached(self, account) -> list[dict]:
        """Return the webhooks that get the account's events: its own, and some of its resellers."""
        return [
            webhook
            for webhook in self.webhooks_by_uuid.values()
            if webhook["is_active"]
            and webhook["account"] not in self.suspended
            and (
                webhook["account"] == account
                or (
                    webhook["include_customers"]
                    and webhook["account"] in iterate_resellers(account)
                )
            )
        ]

    def send_message_event(self, call, uuid, event):
        mailbox = self.mailboxes[call.mailbox]
        data = self.show_message(uuid, mailbox["messages"][uuid])
        data |= {"mailbox": call.mailbox, "account": mailbox["account"]}
        for webhook in self.find_reached(mailbox["account"]):
            send(webhook, event, data)

    def announce_changes(self):
        """Send the events of mailboxes that have changed since the last time."""
        for account in ACCOUNTS:
            if webhooks := self.find_reached(account):
                start = min(webhook["since"] for webhook in webhooks)
                own = self.get_mailboxes(account)
                for uuid in sorted(own, key=lambda uuid: own[uuid]["updated"]):
                    self.announce_mailbox(uuid, webhooks, start)

    def announce_mailbox(self, uuid, webhooks, start):
        mailbox = self.mailboxes[uuid]
        data = self.show(uuid) | {"account": mailbox["account"]}
        del data["password"]
        for event, at in find_events(mailbox, start):
            for webhook in webhooks:
                if at >= webhook["since"]:
                    send(webhook, event, data)
        mailbox["announced"] = mailbox["version"]

    def note_attempt(self, webhook, delivery, status, text):
        """Note the answer to a pending delivery."""
        is_off = not webhook["is_active"] or webhook["account"] in self.suspended
        delivery["attempts"] += 1
        delivery["tries"] += 1
        delivery |= {"status": status, "answer": text}
        if status == 200:
            delivery["state"] = "delivered"
        elif is_off or status == GONE or delivery["tries"] == MAX_TRIES:
            delivery["state"] = "failed"
        if status == GONE and not is_off:
            self.change_fields(webhook, {"is_active": False})

    # --- Data -----------------------------------------------------------------------

    def show_webhook(self, uuid) -> dict:
        webhook = self.webhooks_by_uuid[uuid]
        shown = ("events", "include_customers", "is_active", "url")
        return {name: webhook[name] for name in shown} | {"uuid": uuid}

    def change_fields(self, webhook, fields):
        self.clock += 1
        webhook |= fields
        webhook["version"] += 1
        webhook["since"] = (webhook["since"] or self.clock) if webhook["is_active"] else None

    def issue_secret(self, account) -> str:
        """Return the secret of the service's answer, which must be a new one."""
        assert self.new_secret not in {None, *self.secret_owners}
        self.secret_owners[self.new_secret] = account
        return self.new_secret


def get_fields(body, required=()) -> dict:
    """Return the fields of a body. Raise RefusedError if one is wrong or left out."""
    fields = {name: body[name] for name in ("url", "events", *SWITCHES) if name in body}
    if (
        fields.keys() & set(required) != set(required)
        or "://" not in fields.get("url", "://")
        or fields.get("events") == []
    ):
        raise RefusedError(400)
    return fields


def send(webhook, event, data):
    """Add a delivery if the webhook has the event. The service gives it an id and a time."""
    if event in webhook["events"]:
        delivery = {"event": event, "data": data, "id": None, "state": "pending", "tries": 0}
        webhook["deliveries"].append(delivery | {"attempts": 0, "status": None, "answer": None})


def find_events(mailbox, start) -> list[tuple[str, int]]:
    """Return the mailbox's events that were not sent, and their times."""
    if mailbox["announced"] == mailbox["version"] or mailbox["updated"] < start:
        return []
    return [
        (event, at)
        for version, event, at in mailbox["events"]
        if version > mailbox["announced"] and at >= start
    ] or [("mailbox.updated", mailbox["updated"])]


def show_delivery(delivery) -> dict:
    shown = ("answer", "attempts", "event", "id", "state", "status")
    return {name: delivery[name] for name in shown}


def get_delivery_key(delivery) -> tuple:
    return delivery["at"], delivery["id"]
