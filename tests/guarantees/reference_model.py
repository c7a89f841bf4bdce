"""A reference model of the API in plain dicts: the answers that calls should get."""

from dataclasses import dataclass, field

from tests.guarantees.accounts import MARKS, iterate_resellers
from tests.guarantees.message_model import MessageModel, RefusedError, refuse_changed
from tests.guarantees.sound_model import SoundModel
from tests.guarantees.webhook_model import WebhookModel

DEFAULTS = {
    "beep": True,
    "greeting": None,
    "password": None,
    "play_caller_id": False,
    "play_timestamp": False,
    "transcribe": False,
}
PARAMETERS = {"search", "name", "transcribe", "has_password", "recipient", "deleted", "order"}
PARAMETERS |= {"limit", "cursor"}

MAILBOX = "/voip/mailbox/{mailbox}"
RECIPIENTS = f"{MAILBOX}/email-recipient"
RECIPIENT = f"{RECIPIENTS}/{{recipient}}"
MESSAGES = f"{MAILBOX}/messages"
MESSAGE = f"{MESSAGES}/{{message}}"
SOUND = "/voip/sound/{sound}"
WEBHOOK = "/voip/webhook/{webhook}"
DELIVERIES = f"{WEBHOOK}/deliveries"
COMMANDS = {  # each is also a method of the model
    "authenticated": ("GET", "/authenticated"),
    "find": ("GET", "/voip/mailbox"),
    "create": ("POST", "/voip/mailbox"),
    "get": ("GET", MAILBOX),
    "replace": ("PUT", MAILBOX),
    "change": ("PATCH", MAILBOX),
    "delete": ("DELETE", MAILBOX),
    "history": ("GET", f"{MAILBOX}/history"),
    "restore": ("POST", f"{MAILBOX}/restore"),
    "recipients": ("GET", RECIPIENTS),
    "add_recipient": ("POST", RECIPIENTS),
    "get_recipient": ("GET", RECIPIENT),
    "change_recipient": ("PUT", RECIPIENT),
    "remove_recipient": ("DELETE", RECIPIENT),
    "messages": ("GET", MESSAGES),
    "add_message": ("POST", MESSAGES),
    "change_messages": ("POST", f"{MESSAGES}/bulk"),
    "message": ("GET", MESSAGE),
    "mark_message": ("PATCH", MESSAGE),
    "delete_message": ("DELETE", MESSAGE),
    "restore_message": ("POST", f"{MESSAGE}/restore"),
    "recording": ("GET", f"{MESSAGE}/recording"),
    "webhooks": ("GET", "/voip/webhook"),
    "create_webhook": ("POST", "/voip/webhook"),
    "webhook": ("GET", WEBHOOK),
    "change_webhook": ("PATCH", WEBHOOK),
    "delete_webhook": ("DELETE", WEBHOOK),
    "rotate": ("POST", f"{WEBHOOK}/rotate"),
    "deliveries": ("GET", DELIVERIES),
    "sounds": ("GET", "/voip/sound"),
    "create_sound": ("POST", "/voip/sound"),
    "sound": ("GET", SOUND),
    "change_sound": ("PATCH", SOUND),
    "delete_sound": ("DELETE", SOUND),
    "content_url": ("GET", f"{SOUND}/content-url"),
    "restore_sound": ("POST", f"{SOUND}/restore"),
    "replay": ("POST", f"{DELIVERIES}/{{delivery}}/replay"),
}
UNKNOWN = "00000000-0000-4000-8000-000000000000"


@dataclass(frozen=True)
class Caller:
    """A credential of an account. If it is not valid, every call gets the status `refusal`."""

    account: str | None
    credential: str | None
    headers: dict
    refusal: int | None = None

    def __repr__(self):
        """Leave out the headers, so that a failing test prints no secret."""
        return f"<{self.account}: {self.credential}>"

    def _repr_pretty_(self, printer, cycle):
        """Replace hypothesis' own output, which has every field of a dataclass."""
        printer.text(repr(self))


@dataclass(frozen=True)
class Call:
    caller: Caller
    acts_for: str | None
    command: str
    mailbox: str = ""
    recipient: str = ""
    message: str = ""
    webhook: str = ""
    sound: str = ""
    delivery: str = ""
    body: dict | None = None
    parameters: dict = field(default_factory=dict)
    key: str | None = None
    version: int | None = None  # for If-Match

    @property
    def method(self) -> str:
        return COMMANDS[self.command][0]

    @property
    def path(self) -> str:
        return COMMANDS[self.command][1].format(**vars(self))


class ReferenceModel(MessageModel, SoundModel, WebhookModel):
    """All rows of accounts. Each command returns a status and a result without dates."""

    def __init__(self):
        self.suspended = set()  # accounts
        self.revoked = set()  # names of credentials
        self.mailboxes = {}  # by uuid
        self.first_answers = {}  # by account and idempotency key
        self.cursors = {}  # order and key of a page's last mailbox, by the page's cursor
        self.message_cursors = {}  # day and UUID of a page's last message, by the page's cursor
        self.sounds_by_uuid = {}
        self.sound_cursors = {}  # time of a page's last sound, by the page's cursor
        self.webhooks_by_uuid = {}
        self.secret_owners = {}  # the account of each secret of a webhook, old ones too
        self.new_secret = None  # of a webhook, in the answer to the current call
        self.delivery_cursors = {}  # time and id of a page's last delivery, by the page's cursor
        self.clock = 0

    # --- Permissions --------------------------------------------------------------

    def get_account(self, call) -> str:
        """Return the account that the call acts on. Raise RefusedError if it may not."""
        caller = call.caller
        if caller.account in self.suspended or caller.credential in self.revoked:
            raise RefusedError(401)
        if caller.refusal:
            raise RefusedError(caller.refusal)
        if call.acts_for in (None, "", caller.account):
            return caller.account
        if (
            caller.account in iterate_resellers(call.acts_for)
            and call.acts_for not in self.suspended
        ):
            return call.acts_for
        raise RefusedError(403)

    def get_mailboxes(self, account) -> dict:
        return {uuid: box for uuid, box in self.mailboxes.items() if box["account"] == account}

    def get_secrets(self, account) -> set[str]:
        """Return values, besides pass codes, that only the account's own answers may contain."""
        own = self.get_mailboxes(account)
        recipients = {uuid for mailbox in own.values() for uuid in mailbox["recipients"]}
        messages = {uuid for mailbox in own.values() for uuid in mailbox["messages"]}
        sounds = {
            uuid
            for uuid, sound in self.sounds_by_uuid.items()
            if sound["account"] == account and not sound["was_shared"]
        }
        webhooks = self.get_webhooks(account)
        deliveries = {row["id"] for hook in webhooks.values() for row in hook["deliveries"]}
        return {MARKS[account], *own, *recipients, *messages, *sounds, *webhooks, *deliveries}

    def get_mailbox(self, account, call, with_deleted=False) -> dict:
        mailbox = self.get_mailboxes(account).get(call.mailbox)
        if mailbox is None or (mailbox["deleted"] and not with_deleted):
            raise RefusedError(404)
        return mailbox

    # --- Commands -------------------------------------------------------------------

    def answer_call(self, call, new_uuid=None) -> tuple[int, object]:
        """Execute the call, and return its answer. `new_uuid` is the UUID in the service's answer."""
        try:
            return self.execute_once(self.get_account(call), call, new_uuid)
        except RefusedError as refusal:
            return refusal.args[0], {}

    def execute_once(self, account, call, new_uuid):
        """Execute the call, or return the first answer of a call with the same idempotency key."""
        command = getattr(self, call.command)
        if call.key is None:
            return command(account, call, new_uuid)
        if call.command == "add_message":
            self.get_mailbox(account, call)  # looked up before the body is read, which has the call
        request = (call.method, call.path, call.body)
        if (account, call.key) not in self.first_answers:
            answer = command(account, call, new_uuid)
            self.first_answers[account, call.key] = request, answer
        first, answer = self.first_answers[account, call.key]
        if first != request:
            raise RefusedError(422)
        return answer

    def authenticated(self, account, call, new_uuid):
        return 200, {}

    def create(self, account, call, new_uuid):
        settings = merge_settings(call.body)
        mailbox = {"account": account, "settings": settings, "recipients": {}, "changes": []}
        mailbox["messages"] = {}
        mailbox |= {"deleted": False, "version": 0, "created": self.clock + 1}
        mailbox |= {"announced": 0, "events": []}
        self.mailboxes[new_uuid] = mailbox
        self.add_change(mailbox, call, "created", after=settings)
        return 201, self.show(new_uuid)

    def get(self, account, call, new_uuid):
        self.get_mailbox(account, call)
        return 200, self.show(call.mailbox)

    def replace(self, account, call, new_uuid, *, defaults=DEFAULTS):
        mailbox = self.get_mailbox(account, call)
        refuse_changed(mailbox, call)
        self.change_settings(mailbox, call, merge_settings(call.body, defaults))
        return 200, self.show(call.mailbox)

    def change(self, account, call, new_uuid):
        mailbox = self.get_mailbox(account, call)
        return self.replace(account, call, new_uuid, defaults=mailbox["settings"])

    def delete(self, account, call, new_uuid):
        mailbox = self.get_mailbox(account, call)
        refuse_changed(mailbox, call)
        mailbox["deleted"] = True
        self.add_change(mailbox, call, "deleted")
        return 204, None

    def restore(self, account, call, new_uuid):
        mailbox = self.get_mailbox(account, call, with_deleted=True)
        refuse_changed(mailbox, call)
        if mailbox["deleted"]:
            mailbox["deleted"] = False
            self.add_change(mailbox, call, "restored")
        return 200, self.show(call.mailbox)

    def history(self, account, call, new_uuid):
        return 200, self.get_mailbox(account, call, with_deleted=True)["changes"][::-1]

    def recipients(self, account, call, new_uuid):
        recipients = self.get_mailbox(account, call)["recipients"]
        return 200, [{"uuid": uuid, "email": email} for uuid, email in recipients.items()]

    def add_recipient(self, account, call, new_uuid):
        mailbox = self.get_mailbox(account, call)
        email = get_new_address(call.body, mailbox["recipients"].values())
        mailbox["recipients"][new_uuid] = email
        self.add_change(mailbox, call, "recipient added", after={"email": email})
        return 201, {"uuid": new_uuid, "email": email}

    def get_recipient(self, account, call, new_uuid):
        mailbox = self.get_mailbox(account, call)
        return 200, {"uuid": call.recipient, "email": get_recipient_address(mailbox, call)}

    def change_recipient(self, account, call, new_uuid):
        mailbox = self.get_mailbox(account, call)
        old = get_recipient_address(mailbox, call)
        refuse_changed(mailbox, call)
        others = [email for uuid, email in mailbox["recipients"].items() if uuid != call.recipient]
        new = mailbox["recipients"][call.recipient] = get_new_address(call.body, others)
        action = "recipient changed" if new != old else None
        self.add_change(mailbox, call, action, {"email": old}, {"email": new})
        return 200, {"uuid": call.recipient, "email": new}

    def remove_recipient(self, account, call, new_uuid):
        mailbox = self.get_mailbox(account, call)
        old = get_recipient_address(mailbox, call)
        refuse_changed(mailbox, call)
        del mailbox["recipients"][call.recipient]
        self.add_change(mailbox, call, "recipient removed", before={"email": old})
        return 204, None

    # --- Search ---------------------------------------------------------------------

    def find(self, account, call, new_uuid):
        parameters = call.parameters
        found = self.find_all(account, parameters)
        if "cursor" in parameters:
            order, last = self.cursors[parameters["cursor"]]
            is_descending = order.startswith("-")
            keys = {uuid: self.get_sort_key(order, uuid) for uuid in found}
            found = [
                uuid
                for uuid in found
                if (keys[uuid] < last if is_descending else keys[uuid] > last)
            ]
        limit = int(parameters.get("limit", len(found)))
        return 200, [self.show(uuid) for uuid in found[:limit]]

    def find_all(self, account, parameters) -> list[str]:
        """Return the UUIDs of all pages, in order. Raise RefusedError for invalid parameters."""
        if PARAMETERS & parameters.keys():
            order = parameters.get("order", "created")
            cursor_order, *_ = self.cursors.get(parameters.get("cursor"), (order,))
            if (
                parameters.keys() - PARAMETERS
                or parameters.get("limit") == "0"
                or cursor_order != order
            ):
                raise RefusedError(400)
        else:
            order, parameters = "created", {}
        found = [uuid for uuid in self.get_mailboxes(account) if self.matches(uuid, parameters)]
        is_descending = order.startswith("-")
        return sorted(found, key=lambda uuid: self.get_sort_key(order, uuid), reverse=is_descending)

    def matches(self, uuid, parameters) -> bool:
        mailbox = self.mailboxes[uuid]
        settings = mailbox["settings"]
        addresses = [email.lower() for email in mailbox["recipients"].values()]
        texts = [settings["name"].lower(), mailbox["account"], *addresses]
        digits = uuid.replace("-", "")
        tests = {
            "search": lambda words: all(
                any(word in text for text in texts)
                or (len(word) >= 6 and word.replace("-", "") in digits)
                for word in words.lower().split()
            ),
            "name": lambda name: settings["name"] == name,
            "transcribe": lambda word: settings["transcribe"] is (word == "true"),
            "has_password": lambda word: (settings["password"] is not None) is (word == "true"),
            "recipient": lambda email: email.lower() in addresses,
            "deleted": lambda word: mailbox["deleted"] is (word == "true"),
        }
        values = {"deleted": "false"} | parameters
        return all(test(values[name]) for name, test in tests.items() if name in values)

    def get_sort_key(self, order, uuid):
        mailbox = self.mailboxes[uuid]
        column = order.removeprefix("-")
        return {
            "name": mailbox["settings"]["name"],
            "created": mailbox["created"],
            "updated": mailbox["updated"],
        }[column], uuid

    # --- Data -------------------------------------------------------------------------

    def show(self, uuid) -> dict:
        mailbox = self.mailboxes[uuid]
        recipients = [{"uuid": recipient} for recipient in mailbox["recipients"]]
        return mailbox["settings"] | {"uuid": uuid, "email_recipients": recipients}

    def change_settings(self, mailbox, call, settings):
        before, mailbox["settings"] = mailbox["settings"], settings
        changed = [name for name in settings if settings[name] != before[name]]
        self.add_change(
            mailbox,
            call,
            "changed" if changed else None,
            {name: before[name] for name in changed},
            {name: settings[name] for name in changed},
        )

    def add_change(self, mailbox, call, action, before=None, after=None):
        """Count up the version, and add a row of history if there is an action."""
        self.clock += 1
        mailbox["version"] += 1
        mailbox["updated"] = self.clock
        if action in ("created", "deleted", "restored"):
            mailbox["events"].append((mailbox["version"], f"mailbox.{action}", self.clock))
        if action:
            author = {"account": call.caller.account, "credential": call.caller.credential}
            mailbox["changes"].append(
                {
                    "action": action,
                    "before": mask_password(before or {}),
                    "after": mask_password(after or {}),
                    "by": author | {"kind": "credential"},
                }
            )


def merge_settings(body, defaults=DEFAULTS) -> dict:
    """Return the mailbox's settings after the body. Raise RefusedError if it has no name."""
    known = {name: value for name, value in body.items() if name in (*DEFAULTS, "name")}
    settings = defaults | known
    if not settings.get("name"):
        raise RefusedError(400)
    return settings


def get_new_address(body, others) -> str:
    """Return the body's address. Raise RefusedError if it is malformed or one of the others."""
    if "@" not in body["email"]:
        raise RefusedError(400)
    if body["email"].lower() in [email.lower() for email in others]:
        raise RefusedError(409)
    return body["email"]


def get_recipient_address(mailbox, call) -> str:
    if call.recipient not in mailbox["recipients"]:
        raise RefusedError(404)
    return mailbox["recipients"][call.recipient]


def mask_password(settings) -> dict:
    return settings | ({"password": "••••"} if settings.get("password") else {})


def remove_dates(value):
    """Return a result of the service without its dates, which the model does not have."""
    if isinstance(value, list):
        return [remove_dates(item) for item in value]
    if isinstance(value, dict):
        dates = {"created_on", "updated_on", "at", "created_at", "attempted_at", "next_attempt_at"}
        dates |= {"content_url"}  # which is signed with the time
        return {name: remove_dates(item) for name, item in value.items() if name not in dates}
    return value
