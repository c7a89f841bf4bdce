"""What is called most."""

from urllib.parse import urlencode
from uuid import uuid4

from tests.benchmarks.cases import PATH, SETTINGS
from tests.benchmarks.straight import Straight
from tests.conftest import headers_for
from tests.engines.engine import FORM, engine_headers


class Caller:
    """A program of the account, and its telephone engine."""

    def __init__(self, account):
        self.account, self.mailbox = account, account.mailboxes.earliest("created_at")
        self.path = f"{PATH}/{self.mailbox.pk}"
        headers = headers_for(account)
        self.secret = headers["X-Auth-Password"]
        self.program, self.engine = Straight(headers), Straight(engine_headers(account) | FORM)

    def looked_up(self):
        form = urlencode({"mailbox": self.mailbox.pk, "context": self.account.name})
        return self.engine.post("/asterisk/voicemail/single", form)

    def made_once(self):
        key = {"Idempotency-Key": uuid4().hex}
        return self.program.post(PATH, SETTINGS, headers=key)


def listed(caller):
    return caller.program.get(PATH)


READS = {
    "list of 20": listed,
    "get": lambda caller: caller.program.get(caller.path),
    "engine's lookup": Caller.looked_up,
}
WRITES = {
    "PUT": lambda caller: caller.program.put(caller.path, SETTINGS),
    "create": lambda caller: caller.program.post(PATH, SETTINGS),
    "create with a key": Caller.made_once,
}
