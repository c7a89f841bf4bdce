"""What the API should answer, in plain dicts: who owns what, and who may act for whom. It knows no Django."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

RESELLER_OF = {
    "north": None,
    "north.shop": "north",
    "north.shop.desk": "north.shop",
    "south": None,
    "south.shop": "south",
    "alone": None,
}
ACCOUNTS = list(RESELLER_OF)
# All names and addresses of an account's mailboxes begin with its mark, its pass codes with
# its digit: wherever one of these turns up, it is seen whose it is.
MARKS = dict(zip(ACCOUNTS, ["zqa", "zqb", "zqc", "zqd", "zqe", "zqf"], strict=True))
DIGITS = dict(zip(ACCOUNTS, "345678", strict=True))

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
COMMANDS = {  # each is a method of the model, too
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
}


@dataclass(frozen=True)
class Caller:
    """Who calls: a credential of an account's, or a stranger, whom every command refuses with `refused`."""

    account: str | None
    credential: str | None
    headers: dict
    refused: int | None = None

    def __repr__(self):
        """Without its headers: a failing test prints no secret."""
        return f"<{self.account}: {self.credential}>"

    def _repr_pretty_(self, printer, cycle):
        """What hypothesis prints; of a dataclass it would print every field."""
        printer.text(repr(self))


@dataclass(frozen=True)
class Call:
    caller: Caller
    acts_for: str | None
    command: str
    mailbox: str = ""
    recipient: str = ""
    body: dict | None = None
    parameters: dict = field(default_factory=dict)
    key: str | None = None
    version: int | None = None  # what If-Match names

    @property
    def method(self) -> str:
        return COMMANDS[self.command][0]

    @property
    def path(self) -> str:
        return COMMANDS[self.command][1].format(mailbox=self.mailbox, recipient=self.recipient)


class RefusedError(Exception):
    """The service should answer with this status, and change nothing."""


class Model:
    def __init__(self):
        self.suspended = set()  # accounts
        self.revoked = set()  # names of credentials
        self.boxes = {}  # by uuid
        self.first_answers = {}  # by account and idempotency key
        self.places = {}  # where a page ended, by its cursor
        self.clock = 0

    # --- Who may ------------------------------------------------------------------

    def acts_on(self, call) -> str:
        """The account that the call acts on. Raises RefusedError."""
        caller = call.caller
        if caller.account in self.suspended or caller.credential in self.revoked:
            raise RefusedError(401)
        if caller.refused:
            raise RefusedError(caller.refused)
        if call.acts_for in (None, "", caller.account):
            return caller.account
        if caller.account in resellers(call.acts_for) and call.acts_for not in self.suspended:
            return call.acts_for
        raise RefusedError(403)

    def owned(self, account) -> dict:
        return {uuid: box for uuid, box in self.boxes.items() if box["account"] == account}

    def secrets(self, account) -> set[str]:
        """What no answer but the account's own may carry, besides its pass codes."""
        owned = self.owned(account)
        recipients = {uuid for box in owned.values() for uuid in box["recipients"]}
        return {MARKS[account], *owned, *recipients}

    def box(self, account, call, even_deleted=False) -> dict:
        box = self.owned(account).get(call.mailbox)
        if box is None or (box["deleted"] and not even_deleted):
            raise RefusedError(404)
        return box

    # --- What is answered -----------------------------------------------------------

    def answer(self, call, made=None) -> tuple[int, object]:
        """The status and the result, its dates left out; `made` is the uuid that the service gave."""
        try:
            return self.once(self.acts_on(call), call, made)
        except RefusedError as refusal:
            return refusal.args[0], {}

    def once(self, account, call, made):
        work = getattr(self, call.command)
        if call.key is None:
            return work(account, call, made)
        told = (call.method, call.path, call.body)
        if (account, call.key) not in self.first_answers:
            answer = work(account, call, made)
            self.first_answers[account, call.key] = told, answer
        first, answer = self.first_answers[account, call.key]
        if first != told:
            raise RefusedError(422)
        return answer

    def authenticated(self, account, call, made):
        return 200, {}

    def create(self, account, call, made):
        settings = whole(call.body)
        box = {"account": account, "settings": settings, "recipients": {}, "changes": []}
        self.boxes[made] = box | {"deleted": False, "version": 0, "made": self.clock + 1}
        self.wrote(self.boxes[made], call, "created", after=settings)
        return 201, self.shown(made)

    def get(self, account, call, made):
        self.box(account, call)
        return 200, self.shown(call.mailbox)

    def replace(self, account, call, made, *, defaults=DEFAULTS):
        box = self.box(account, call)
        unchanged(box, call)
        self.set(box, call, whole(call.body, defaults))
        return 200, self.shown(call.mailbox)

    def change(self, account, call, made):
        box = self.box(account, call)
        return self.replace(account, call, made, defaults=box["settings"])

    def delete(self, account, call, made):
        box = self.box(account, call)
        unchanged(box, call)
        box["deleted"] = True
        self.wrote(box, call, "deleted")
        return 204, None

    def restore(self, account, call, made):
        box = self.box(account, call, even_deleted=True)
        unchanged(box, call)
        if box["deleted"]:
            box["deleted"] = False
            self.wrote(box, call, "restored")
        return 200, self.shown(call.mailbox)

    def history(self, account, call, made):
        return 200, self.box(account, call, even_deleted=True)["changes"][::-1]

    def recipients(self, account, call, made):
        recipients = self.box(account, call)["recipients"]
        return 200, [{"uuid": uuid, "email": email} for uuid, email in recipients.items()]

    def add_recipient(self, account, call, made):
        box = self.box(account, call)
        email = address(call.body, box["recipients"].values())
        box["recipients"][made] = email
        self.wrote(box, call, "recipient added", after={"email": email})
        return 201, {"uuid": made, "email": email}

    def get_recipient(self, account, call, made):
        return 200, {"uuid": call.recipient, "email": one(self.box(account, call), call)}

    def change_recipient(self, account, call, made):
        box = self.box(account, call)
        old = one(box, call)
        unchanged(box, call)
        others = [email for uuid, email in box["recipients"].items() if uuid != call.recipient]
        new = box["recipients"][call.recipient] = address(call.body, others)
        action = "recipient changed" if new != old else None
        self.wrote(box, call, action, {"email": old}, {"email": new})
        return 200, {"uuid": call.recipient, "email": new}

    def remove_recipient(self, account, call, made):
        box = self.box(account, call)
        old = one(box, call)
        unchanged(box, call)
        del box["recipients"][call.recipient]
        self.wrote(box, call, "recipient removed", before={"email": old})
        return 204, None

    # --- Finding --------------------------------------------------------------------

    def find(self, account, call, made):
        parameters = call.parameters
        found = self.found(account, parameters)
        if "cursor" in parameters:
            order, place = self.places[parameters["cursor"]]
            down = order.startswith("-")
            keys = {uuid: self.key(order, uuid) for uuid in found}
            found = [uuid for uuid in found if (keys[uuid] < place if down else keys[uuid] > place)]
        limit = int(parameters.get("limit", len(found)))
        return 200, [self.shown(uuid) for uuid in found[:limit]]

    def found(self, account, parameters) -> list[str]:
        """The uuids of what is asked for, on all pages, in order. Raises RefusedError."""
        if PARAMETERS & parameters.keys():
            order = parameters.get("order", "created")
            place = self.places.get(parameters.get("cursor"), (order,))
            if (
                parameters.keys() - PARAMETERS
                or parameters.get("limit") == "0"
                or place[0] != order
            ):
                raise RefusedError(400)
        else:
            order, parameters = "created", {}
        found = [uuid for uuid in self.owned(account) if self.is_asked_for(uuid, parameters)]
        return sorted(found, key=lambda uuid: self.key(order, uuid), reverse=order.startswith("-"))

    def is_asked_for(self, uuid, parameters) -> bool:
        box = self.boxes[uuid]
        settings = box["settings"]
        addresses = [email.lower() for email in box["recipients"].values()]
        is_so = {
            "search": lambda text: any(text.lower() in held for held in searched(uuid, box)),
            "name": lambda name: settings["name"] == name,
            "transcribe": lambda word: settings["transcribe"] is (word == "true"),
            "has_password": lambda word: (settings["password"] is not None) is (word == "true"),
            "recipient": lambda email: email.lower() in addresses,
            "deleted": lambda word: box["deleted"] is (word == "true"),
        }
        asked = {"deleted": "false"} | parameters
        return all(test(asked[name]) for name, test in is_so.items() if name in asked)

    def key(self, order, uuid):
        box = self.boxes[uuid]
        column = order.removeprefix("-")
        return {
            "name": box["settings"]["name"],
            "created": box["made"],
            "updated": box["changed"],
        }[column], uuid

    # --- What is kept -----------------------------------------------------------------

    def shown(self, uuid) -> dict:
        box = self.boxes[uuid]
        recipients = [{"uuid": recipient} for recipient in box["recipients"]]
        return box["settings"] | {"uuid": uuid, "email_recipients": recipients}

    def set(self, box, call, settings):
        before, box["settings"] = box["settings"], settings
        differs = [name for name in settings if settings[name] != before[name]]
        self.wrote(
            box,
            call,
            "changed" if differs else None,
            {name: before[name] for name in differs},
            {name: settings[name] for name in differs},
        )

    def wrote(self, box, call, action, before=None, after=None):
        """One version on; and, unless it changed nothing, one change more in its history."""
        self.clock += 1
        box["version"] += 1
        box["changed"] = self.clock
        if action:
            by = {"account": call.caller.account, "credential": call.caller.credential}
            box["changes"].append(
                {
                    "action": action,
                    "before": masked(before or {}),
                    "after": masked(after or {}),
                    "by": by | {"kind": "credential"},
                }
            )


def resellers(account) -> Iterator[str]:
    """Who may act for the account: its reseller, and the resellers further up. None, if it is none of ours."""
    while account := RESELLER_OF.get(account):
        yield account


def searched(uuid, box) -> list[str]:
    """The texts of a mailbox that a search looks through."""
    addresses = [email.lower() for email in box["recipients"].values()]
    return [box["settings"]["name"], box["account"], uuid, uuid.replace("-", ""), *addresses]


def whole(body, defaults=DEFAULTS) -> dict:
    """The settings that the body leaves a mailbox with; keys that are no settings are ignored. Raises RefusedError."""
    known = {name: value for name, value in body.items() if name in (*DEFAULTS, "name")}
    settings = defaults | known
    if not settings.get("name"):
        raise RefusedError(400)
    return settings


def address(body, others) -> str:
    """The address of the body, which none of the others is. Raises RefusedError."""
    if "@" not in body["email"]:
        raise RefusedError(400)
    if body["email"].lower() in [email.lower() for email in others]:
        raise RefusedError(409)
    return body["email"]


def one(box, call) -> str:
    """The address of the recipient that the call names. Raises RefusedError."""
    if call.recipient not in box["recipients"]:
        raise RefusedError(404)
    return box["recipients"][call.recipient]


def unchanged(box, call) -> None:
    """Raises RefusedError where If-Match names another version."""
    if call.version not in (None, box["version"]):
        raise RefusedError(412)


def masked(settings) -> dict:
    """The settings as history tells them."""
    return settings | ({"password": "••••"} if settings.get("password") else {})


def undated(value):
    """What was answered, without its dates."""
    if isinstance(value, list):
        return [undated(item) for item in value]
    if isinstance(value, dict):
        dates = {"created_on", "updated_on", "at"}
        return {name: undated(item) for name, item in value.items() if name not in dates}
    return value


def shows_pass_code_of(accounts, text) -> bool:
    """Whether four digits stand in the text by themselves that are a pass code of one of the accounts."""
    digits = "".join(DIGITS[account] for account in accounts)
    return re.search(rf"(?<![\w.-])[{digits}]\d{{3}}(?![\w.-])", text) is not None
