"""Every command, page and lookup of one account, for `make bench-growth`."""

from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlencode
from uuid import uuid4

from django.contrib.auth.models import User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from mailboxes.models import Account, Mailbox
from tests.conftest import headers_for
from tests.engines.engine import Asterisk, FreeSWITCH, engine_headers
from tests.recordings import make_form, make_wav
from tests.service import InProcess

SETTINGS = {"name": "Sales", "password": "4829", "transcribe": True}
PATH = "/voip/mailbox"
RECORDING = make_wav()


@dataclass
class Callers:
    """One account, and its callers: API clients, engines and a browser.

    Only the second mailbox is changed, so that the history of the first stays short.
    """

    account: Account

    def __post_init__(self):
        self.mailbox, self.written_mailbox = self.account.mailboxes.order_by("name")[:2]
        self.message = self.mailbox.messages.first()
        self.program = InProcess(headers_for(self.account))
        self.reseller = InProcess(
            headers_for(self.account.reseller) | {"X-Auth-For": self.account.name}
        )
        own, every = engine_headers(self.account), engine_headers(None)
        self.asterisk, self.freeswitch = Asterisk(own), FreeSWITCH(own)
        self.asterisk_of_all, self.freeswitch_of_all = Asterisk(every), FreeSWITCH(every)
        self.browser = Client(SERVER_NAME="localhost")
        self.browser.force_login(User.objects.get())

    @property
    def path(self):
        return f"{PATH}/{self.mailbox.pk}"

    @property
    def written_path(self):
        return f"{PATH}/{self.written_mailbox.pk}"

    def list_mailboxes(self, **query):
        return self.program.get(f"{PATH}?{urlencode(query)}")

    def list_changes(self):
        first = self.list_mailboxes(changed_since="0")
        self.program.patch(self.written_path, {"name": "Sales"})
        cursor = first.headers["x-changes-cursor"]
        second = self.list_mailboxes(changed_since=cursor)
        return first, second, self.list_mailboxes(changed_since="0", deleted="true")

    def list_messages(self, **query):
        return self.program.get(f"{self.path}/messages?{urlencode(query)}")

    def mark_message(self):
        path = f"{self.path}/messages/{self.message.pk}"
        return [self.program.patch(path, {"heard": heard}) for heard in (True, False)]

    def delete_and_restore_message(self):
        path = f"{self.path}/messages/{self.message.pk}"
        return self.program.delete(path), self.program.post(f"{path}/restore")

    def change_messages(self):
        path, uuids = f"{self.path}/messages/bulk", [str(self.message.pk)]
        actions = ("hear", "unhear", "delete", "restore")
        return [self.program.post(path, {"action": action, "uuids": uuids}) for action in actions]

    def add_message(self):
        call = {"call_id": uuid4().hex}
        path = f"{self.written_path}/messages"
        return self.program.post(path, **make_form(RECORDING, **call))

    def create_mailbox(self, **headers):
        return self.program.post(PATH, SETTINGS, headers=headers)

    def create_and_delete(self):
        path = f"{PATH}/{self.create_mailbox().result['uuid']}"
        self.program.delete(path)
        return self.program.post(f"{path}/restore"), self.program.delete(path)

    def change_recipients(self):
        path = f"{self.written_path}/email-recipient"
        added = self.program.post(path, {"email": "new@example.com"})
        one = f"{path}/{added.result['uuid']}"
        self.program.put(one, {"email": "newer@example.com"})
        return added, self.program.get(one), self.program.delete(one)

    def get_page(self, name, query="", /, **names):
        return self.browser.get(reverse(f"console:{name}", kwargs=names) + query)

    def post_form(self, name, form, query="", /, **names):
        return self.browser.post(reverse(f"console:{name}", kwargs=names) + query, form)

    def get_table(self, **query):
        return self.get_page(
            "mailbox-list", f"?{urlencode({'account': self.account.name} | query)}"
        )

    def get_messages(self, **query):
        return self.get_page(
            "message-list", f"?{urlencode({'account': self.account.name} | query)}"
        )

    def mark_messages(self):
        uuid = list(self.written_mailbox.messages.active().values_list("pk", flat=True))
        query = f"?{urlencode({'uuid': uuid}, doseq=True)}"
        for action in ("hear", "unhear"):
            self.post_form("message-bulk", {"action": action, "uuid": uuid})
        page = self.get_page("message-bulk-delete", query)
        self.post_form("message-bulk-delete", {"digest": page.context["digest"]}, query)
        self.post_form("message-bulk", {"action": "restore", "uuid": uuid})
        return page

    def save_mailbox(self):
        mailbox = Mailbox.objects.get(pk=self.written_mailbox.pk)
        form = {"name": mailbox.name, "transcribe": "" if mailbox.transcribe else "on"}
        return self.post_form("mailbox", form | {"version": mailbox.version}, uuid=mailbox.pk)

    def delete_and_restore(self):
        uuid = {"uuid": self.written_mailbox.pk}
        return self.post_form("mailbox-delete", {}, **uuid), self.post_form(
            "mailbox-restore", {}, **uuid
        )


def mailbox_page(page, query=""):
    return lambda c: c.get_page(page, query, uuid=c.mailbox.pk)


def account_page(page, query=""):
    return lambda c: c.get_page(page, query, name=c.account.name)


def yesterday():
    return (timezone.now() - timedelta(days=1)).isoformat()


API = {
    "credentials are good": lambda c: c.program.get("/authenticated"),
    "list": lambda c: c.program.get(PATH),
    "list, 20 of them": lambda c: c.list_mailboxes(limit=20),
    "list, by search": lambda c: c.list_mailboxes(search="box 77"),
    "list, by name": lambda c: c.list_mailboxes(name="Box 77"),
    "list, by recipient": lambda c: c.list_mailboxes(recipient=f"ann@{c.account.name}.example"),
    "list, updated since": lambda c: c.list_mailboxes(updated_since=yesterday(), order="-updated"),
    "list, changed since": lambda c: c.list_changes(),
    "list, deleted": lambda c: c.list_mailboxes(deleted="true"),
    "list, for a customer": lambda c: c.reseller.get(PATH),
    "get": lambda c: c.program.get(c.path),
    "get, 404": lambda c: c.program.get(f"{PATH}/{uuid4()}"),
    "get its history": lambda c: c.program.get(f"{c.path}/history"),
    "get its recipients": lambda c: c.program.get(f"{c.path}/email-recipient"),
    "PUT": lambda c: c.program.put(c.written_path, SETTINGS),
    "PATCH": lambda c: c.program.patch(c.written_path, {"name": "Sales"}),
    "create": lambda c: c.create_mailbox(),
    "create, with a key": lambda c: c.create_mailbox(**{"Idempotency-Key": uuid4().hex}),
    "create, delete, restore, delete": Callers.create_and_delete,
    "recipient: add, PUT, get, delete": Callers.change_recipients,
}
MESSAGES = {
    "messages: list, 20 of them": lambda c: c.list_messages(limit=20),
    "messages: list, unheard": lambda c: c.list_messages(limit=20, heard="false"),
    "messages: list, heard": lambda c: c.list_messages(limit=20, heard="true"),
    "messages: list, received since": lambda c: c.list_messages(received_since=yesterday()),
    "messages: list, deleted": lambda c: c.list_messages(deleted="true"),
    "messages: list, by search": lambda c: c.list_messages(search="number 77", limit=20),
    "messages: change of many": Callers.change_messages,
    "message: get": lambda c: c.program.get(f"{c.path}/messages/{c.message.pk}"),
    "message: mark": Callers.mark_message,
    "message: delete, restore": Callers.delete_and_restore_message,
    "message: add": Callers.add_message,
}
SOUNDS = {
    "sounds: list": lambda c: c.program.get("/voip/sound"),
    "sounds: list, by search": lambda c: c.program.get("/voip/sound?search=welcome"),
    "sounds: list, deleted": lambda c: c.program.get("/voip/sound?deleted=true"),
}
ENGINES = {
    "Asterisk, a mailbox": lambda c: c.asterisk.single(c.mailbox.pk, c.account.name),
    "Asterisk, an account": lambda c: c.asterisk.multi(c.account.name),
    "Asterisk, of all accounts": lambda c: c.asterisk_of_all.single(c.mailbox.pk, c.account.name),
    "Asterisk, a pass code": lambda c: c.asterisk.update(
        c.written_mailbox.pk, c.account.name, f"{uuid4().int % 10_000:04}"
    ),
    "FreeSWITCH, a mailbox": lambda c: c.freeswitch.look_up(c.mailbox.pk, c.account.name),
    "FreeSWITCH, of all accounts": lambda c: c.freeswitch_of_all.look_up(
        c.mailbox.pk, c.account.name
    ),
}
CONSOLE = {
    "page of an account": account_page("account"),
    "page of its customers": account_page("customer-list"),
    "page of its reseller": lambda c: c.get_page("account", name=c.account.reseller.name),
    "page of the reseller's customers": lambda c: c.get_page(
        "customer-list", name=c.account.reseller.name
    ),
    "page of its greetings": account_page("sound-list"),
    "page to change it": account_page("account-edit"),
    "table of its mailboxes": Callers.get_table,
    "table, by search": lambda c: c.get_table(q="box 77"),
    "table, by update": lambda c: c.get_table(order="-updated"),
    "table, deleted": lambda c: c.get_table(state="deleted"),
    "page of a mailbox": mailbox_page("mailbox"),
    "messages of a mailbox's page": mailbox_page("mailbox-messages"),
    "messages of an account": Callers.get_messages,
    "messages of an account, by search": lambda c: c.get_messages(q="box 77"),
    "messages of an account, unheard": lambda c: c.get_messages(heard="no"),
    "messages of an account, deleted": lambda c: c.get_messages(state="deleted"),
    "messages of a mailbox": lambda c: c.get_page("message-list", f"?mailbox={c.mailbox.pk}"),
    "messages: mark, delete, restore": Callers.mark_messages,
    "page of its history": mailbox_page("history"),
    "mailbox: save": Callers.save_mailbox,
    "mailbox: delete, restore": Callers.delete_and_restore,
    "export": lambda c: c.post_form(
        "export", {"delimiter": ","}, f"?all=on&account={c.account.name}"
    ).getvalue(),
    "change of all: preview": lambda c: c.get_page(
        "bulk-change", f"?all=on&account={c.account.name}&to-beep=off"
    ),
}
CASES = API | MESSAGES | SOUNDS | ENGINES | CONSOLE
# These cover all accounts, so they must grow: their times are printed, and not limited.
OF_ALL_ACCOUNTS = {
    "table of all mailboxes": lambda c: c.get_page("mailbox-list"),
    "table of all, by search": lambda c: c.get_page("mailbox-list", f"?q={c.account.name}"),
    "messages of all": lambda c: c.get_page("message-list"),
    "messages of all, by search": lambda c: c.get_page("message-list", "?q=box+77"),
    "list of all accounts": lambda c: c.get_page("account-list"),
    "names of accounts suggested": lambda c: c.get_page("account-names", f"?q={c.account.name}"),
}
