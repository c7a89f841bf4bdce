"""What is asked for an account that stays as it is while all others grow: every command, page and lookup."""

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
from tests.service import InProcess

SETTINGS = {"name": "Sales", "password": "4829", "transcribe": True}
PATH = "/voip/mailbox"


@dataclass
class Ordinary:
    """An account, two mailboxes of it, and who asks: its program, its reseller's, two engines, staff.

    What is written is the second mailbox, so that the first one's history stays short.
    """

    account: Account

    def __post_init__(self):
        self.mailbox, self.changed = self.account.mailboxes.order_by("name")[:2]
        self.program = InProcess(headers_for(self.account))
        self.reseller = InProcess(
            headers_for(self.account.reseller) | {"X-Auth-For": self.account.name}
        )
        own, every = engine_headers(self.account), engine_headers(None)
        self.asterisk, self.freeswitch = Asterisk(own), FreeSWITCH(own)
        self.every_asterisk, self.every_freeswitch = Asterisk(every), FreeSWITCH(every)
        self.browser = Client(SERVER_NAME="localhost")
        self.browser.force_login(User.objects.get())

    @property
    def path(self):
        return f"{PATH}/{self.mailbox.pk}"

    @property
    def changed_path(self):
        return f"{PATH}/{self.changed.pk}"

    def listed(self, **query):
        return self.program.get(f"{PATH}?{urlencode(query)}")

    def made(self, **headers):
        return self.program.post(PATH, SETTINGS, headers=headers)

    def removed_again(self):
        path = f"{PATH}/{self.made().result['uuid']}"
        self.program.delete(path)
        return self.program.post(f"{path}/restore"), self.program.delete(path)

    def recipient_added(self):
        path = f"{self.changed_path}/email-recipient"
        added = self.program.post(path, {"email": "new@example.com"})
        one = f"{path}/{added.result['uuid']}"
        self.program.put(one, {"email": "newer@example.com"})
        return added, self.program.get(one), self.program.delete(one)

    def page(self, name, query="", /, **names):
        return self.browser.get(reverse(f"console:{name}", kwargs=names) + query)

    def sent(self, name, form, query="", /, **names):
        return self.browser.post(reverse(f"console:{name}", kwargs=names) + query, form)

    def table(self, **query):
        return self.page("mailbox-list", f"?{urlencode({'account': self.account.name} | query)}")

    def saved(self):
        mailbox = Mailbox.objects.get(pk=self.changed.pk)
        form = {"name": mailbox.name, "transcribe": "" if mailbox.transcribe else "on"}
        return self.sent("mailbox", form | {"version": mailbox.version}, uuid=mailbox.pk)

    def deleted_and_restored(self):
        uuid = {"uuid": self.changed.pk}
        return self.sent("mailbox-delete", {}, **uuid), self.sent("mailbox-restore", {}, **uuid)


def on_mailbox(page, query=""):
    return lambda it: it.page(page, query, uuid=it.mailbox.pk)


def on_account(page, query=""):
    return lambda it: it.page(page, query, name=it.account.name)


def yesterday():
    return (timezone.now() - timedelta(days=1)).isoformat()


API = {
    "credentials are good": lambda it: it.program.get("/authenticated"),
    "list": lambda it: it.program.get(PATH),
    "list, 20 of them": lambda it: it.listed(limit=20),
    "list, by search": lambda it: it.listed(search="box 77"),
    "list, by name": lambda it: it.listed(name="Box 77"),
    "list, by recipient": lambda it: it.listed(recipient=f"ann@{it.account.name}.example"),
    "list, updated since": lambda it: it.listed(updated_since=yesterday(), order="-updated"),
    "list, deleted": lambda it: it.listed(deleted="true"),
    "list, for a customer": lambda it: it.reseller.get(PATH),
    "get": lambda it: it.program.get(it.path),
    "get, 404": lambda it: it.program.get(f"{PATH}/{uuid4()}"),
    "get its history": lambda it: it.program.get(f"{it.path}/history"),
    "get its recipients": lambda it: it.program.get(f"{it.path}/email-recipient"),
    "PUT": lambda it: it.program.put(it.changed_path, SETTINGS),
    "PATCH": lambda it: it.program.patch(it.changed_path, {"name": "Sales"}),
    "create": lambda it: it.made(),
    "create, with a key": lambda it: it.made(**{"Idempotency-Key": uuid4().hex}),
    "create, delete, restore, delete": Ordinary.removed_again,
    "recipient: add, PUT, get, delete": Ordinary.recipient_added,
}
ENGINES = {
    "Asterisk, a mailbox": lambda it: it.asterisk.single(it.mailbox.pk, it.account.name),
    "Asterisk, an account": lambda it: it.asterisk.multi(it.account.name),
    "Asterisk, of all accounts": lambda it: it.every_asterisk.single(
        it.mailbox.pk, it.account.name
    ),
    "Asterisk, a pass code": lambda it: it.asterisk.update(
        it.changed.pk, it.account.name, f"{uuid4().int % 10_000:04}"
    ),
    "FreeSWITCH, a mailbox": lambda it: it.freeswitch.look_up(it.mailbox.pk, it.account.name),
    "FreeSWITCH, of all accounts": lambda it: it.every_freeswitch.look_up(
        it.mailbox.pk, it.account.name
    ),
}
CONSOLE = {
    "page of an account": on_account("account"),
    "page of its customers": on_account("customer-list"),
    "page of its reseller": lambda it: it.page("account", name=it.account.reseller.name),
    "page of the reseller's customers": lambda it: it.page(
        "customer-list", name=it.account.reseller.name
    ),
    "page to change it": on_account("account-edit"),
    "table of its mailboxes": Ordinary.table,
    "table, by search": lambda it: it.table(q="box 77"),
    "table, by update": lambda it: it.table(order="-updated"),
    "table, deleted": lambda it: it.table(state="deleted"),
    "page of a mailbox": on_mailbox("mailbox"),
    "page of its history": on_mailbox("history"),
    "mailbox: save": Ordinary.saved,
    "mailbox: delete, restore": Ordinary.deleted_and_restored,
    "export": lambda it: it.sent(
        "export", {"delimiter": ","}, f"?all=on&account={it.account.name}"
    ).getvalue(),
    "change of all: preview": lambda it: it.page(
        "bulk-change", f"?all=on&account={it.account.name}&to-beep=off"
    ),
}
CASES = API | ENGINES | CONSOLE
# These are about everything there is, and so larger by nature. Shown, not bounded.
OF_ALL_ACCOUNTS = {
    "table of all mailboxes": lambda it: it.page("mailbox-list"),
    "table of all, by search": lambda it: it.page("mailbox-list", f"?q={it.account.name}"),
    "list of all accounts": lambda it: it.page("account-list"),
    "names of accounts suggested": lambda it: it.page("account-names", f"?q={it.account.name}"),
}
