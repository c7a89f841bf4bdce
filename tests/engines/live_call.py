"""A mailbox made by the API answers real calls: a real Asterisk, real SIP and audio, in one run.

python -m tests.engines.live_call    plays the scenes below and tells what happened (ASTERISK_KIT, see tests/requirements.py)

All of it runs in a network namespace of its own, where there is nothing but the loopback. Each
scene has a mailbox of its own, so they are played at the same time.
"""

import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from textwrap import TextWrapper
from uuid import uuid4

import django

from tests import requirements
from tests.engines.exchange import LEAVE, LISTEN, NO_KIT, Call, Exchange, fetch
from tests.engines.sound import seconds_of_tone, write_tone
from tests.server import ROOT

CALLERS, GREETINGS, BEEPS = 440, 660, 700  # Hz: the phone's tone, our greeting, Asterisk's beep
GREETING = uuid4()

# Sentences that Asterisk says.
INTRO, INCORRECT, YOU_HAVE = "vm-intro", "vm-incorrect", "vm-youhave"
RECEIVED, FROM, CHANGED = "vm-received", "vm-from-phonenumber", "vm-passchanged"
TRY_LATER = "please-try-call-later"


wrapped = TextWrapper(
    width=96, initial_indent=" " * 4, subsequent_indent=" " * 8, break_on_hyphens=False
)


class Scene:
    """One mailbox, and what is done with it by the API and by telephone."""

    name = "Sales"

    def __init__(self, exchange):
        self.exchange, self.told = exchange, []

    def play(self) -> list[str]:
        """What happened, a line each. An error tells it too."""
        with closing(self.exchange.api()) as self.api:
            try:
                self.act()
            except Exception as error:
                error.add_note("\n".join([self.__doc__, *self.told]))
                raise
        return [self.__doc__, *self.told]

    def tell(self, line):
        self.told.append(wrapped.fill(line))

    def create(self, **settings):
        answer = self.api.post("/voip/mailbox", {"name": self.name, **settings})
        self.uuid = answer.result["uuid"]
        self.path = f"/voip/mailbox/{self.uuid}"
        self.tell(f"POST /voip/mailbox {shown(settings)}: {answer.status}")

    def change(self, **settings):
        answer = self.api.patch(self.path, settings)
        assert answer.status == 200
        self.tell(f"PATCH {shown(settings)}: {answer.status}")

    def leave(self, seconds) -> Call:
        """Call it, and send a tone until hanging up."""
        call = self.exchange.call(LEAVE, self.uuid, seconds)
        if call.status != 200:
            self.tell(f"a call to it: {call.status}")
        else:
            tones = {"the greeting": GREETINGS, "a beep": BEEPS}
            seconds = {tone: call.seconds_of(hertz) for tone, hertz in tones.items()}
            heard = [f"{seconds[tone]:.1f} s of {tone}" for tone in tones if seconds[tone]]
            self.tell(f"a call to it: heard {' and '.join(heard) or 'no tone'}; {played(call)}")
        return call

    def left(self) -> float:
        """Seconds of the caller's tone in the last message."""
        seconds = seconds_of_tone(self.exchange.messages(self.uuid)[-1], CALLERS)
        self.tell(f"the message holds {seconds:.1f} s of the caller's tone")
        return seconds

    def listen(self, seconds, *digits) -> Call:
        """Call to listen and type digits, each `second:digits`."""
        call = self.exchange.call(LISTEN, self.uuid, seconds, *digits)
        typed = " ".join(word.partition(":")[2] for word in digits)
        self.tell(f"a call to listen, typing {typed}: {played(call)}")
        return call


def played(call) -> str:
    return f"Asterisk played {' '.join(call.prompts)}"


def shown(settings):
    return ", ".join(f"{name} {value}" for name, value in settings.items())


class Message(Scene):
    """A caller leaves a message; it is mailed to each recipient and played by telephone"""

    def act(self):
        self.create(password="4829")
        for address in ("ann@acme.example", "bob@acme.example"):
            self.api.post(f"{self.path}/email-recipient", {"email": address})
        call = self.leave(seconds=12)
        assert call.prompts == [INTRO, "beep"]
        assert call.seconds_of(BEEPS) > 0.2
        assert self.left() >= 4
        self.look_at_mails(self.exchange.messages(self.uuid)[-1].read_bytes())
        call = self.listen(13, "1.5:4829#", "4.5:1")
        assert call.seconds_of(CALLERS) >= 4
        self.tell(f"{call.seconds_of(CALLERS):.1f} s of the caller's tone were heard")

    def look_at_mails(self, recording):
        mails = self.exchange.mails(2)
        assert set(mails) == {"ann@acme.example", "bob@acme.example"}
        heads = [str(mail.items()) for mail in mails.values()]
        assert not any(address in head for address in mails for head in heads)
        for address, mail in sorted(mails.items()):
            (attachment,) = mail.iter_attachments()
            assert attachment.get_content() == recording
            self.tell(f"a mail to {address}: “{mail['Subject']}”, with {attachment.get_filename()}")


class Greeting(Scene):
    """The mailbox's greeting is played instead of Asterisk's, and no beep if it is off"""

    name = "x\\,beep=yes&greeting_url=/etc/passwd,${SHELL(id)}%0A\"']]>"

    def act(self):
        self.create(greeting=str(GREETING), beep=False)
        call = self.leave(seconds=6)
        assert call.prompts == [str(GREETING)]
        assert call.seconds_of(GREETINGS) > 0.8
        assert call.seconds_of(BEEPS) == 0
        assert self.left() >= 3
        self.change(beep=True, greeting=str(uuid4()))
        call = self.leave(seconds=8)
        assert call.prompts == [INTRO, "beep"]
        assert call.seconds_of(BEEPS) > 0.2


class Announced(Scene):
    """Time and caller of a message are announced before it is played"""

    on = True

    def act(self):
        switches = {"play_caller_id": self.on, "play_timestamp": self.on}
        self.create(password="4829", greeting=str(GREETING), **switches)
        self.leave(seconds=5)
        call = self.listen(18, "1.5:4829#", "4.5:1")
        said = [prompt for prompt in call.prompts if prompt in (RECEIVED, FROM)]
        assert said == [RECEIVED, FROM] * self.on


class NotAnnounced(Announced):
    """Time and caller are not announced if that is off"""

    on = False


class PassCode(Scene):
    """A pass code changed through the API is valid from the next call on"""

    def act(self):
        self.create(password="4829")
        call = self.listen(10, "1.5:9999#", "6:4829#")
        assert in_order(call.prompts, INCORRECT, YOU_HAVE)
        self.change(password="7392")
        call = self.listen(10, "1.5:4829#", "6:7392#")
        assert in_order(call.prompts, INCORRECT, YOU_HAVE)


class PassCodeByTelephone(Scene):
    """A pass code changed by telephone is shown by the API, and history names the engine"""

    def act(self):
        self.create(password="4829")
        call = self.listen(15, "1.5:4829#", "4.5:0", "5.5:5", "7.5:5938#", "11:5938#")
        assert CHANGED in call.prompts
        assert self.api.get(self.path).result["password"] == "5938"
        self.tell("GET: password 5938")
        change = self.api.get(f"{self.path}/history").result[0]
        assert change["by"] == {"account": "acme", "credential": "asterisk", "kind": "engine"}
        self.tell(f"GET history: {change['action']} by {shown(change['by'])}")
        call = self.listen(10, "1.5:4829#", "6:5938#")
        assert in_order(call.prompts, INCORRECT, YOU_HAVE)


class NoPassCode(Scene):
    """A mailbox without a pass code cannot be decrypted by telephone"""

    def act(self):
        self.create(password=None)
        call = self.listen(12, "1.5:#", "5:0000#")
        assert in_order(call.prompts, INCORRECT, INCORRECT)


class Deletion(Scene):
    """A deleted mailbox takes no calls, and a restored one does"""

    def act(self):
        self.create(greeting=str(GREETING))
        assert self.api.delete(self.path).status == 204
        self.tell("DELETE: 204")
        assert self.leave(seconds=2).status == 404
        assert self.api.post(f"{self.path}/restore").status == 200
        self.tell("POST restore: 200")
        assert self.leave(seconds=5).seconds_of(BEEPS) > 0.2
        assert self.left() >= 2


class Away(Scene):
    """While the database is away, or the whole service, callers are asked to try later"""

    def act(self):
        self.create(password="4829")
        self.exchange.take_database_away()
        self.tell("the database is taken away")
        assert self.leave(seconds=2).prompts == [TRY_LATER]
        assert self.listen(2, "1:#").prompts == [TRY_LATER]
        self.exchange.take_service_away()
        self.tell("the service is taken away")
        assert self.leave(seconds=2).prompts == [TRY_LATER]
        with self.exchange.proxy_error():
            self.tell("a proxy says so, with a page that reads like a mailbox")
            assert self.leave(seconds=2).prompts == [TRY_LATER]
            assert self.listen(6, "1.5:#").prompts == [TRY_LATER]
        assert "returned response code (502)" in self.exchange.log.read_text(errors="replace")


TOGETHER = [
    Message,
    Greeting,
    Announced,
    NotAnnounced,
    PassCode,
    PassCodeByTelephone,
    NoPassCode,
    Deletion,
]
SCENES = [*TOGETHER, Away]  # which needs the service for itself


def in_order(prompts, *wanted) -> bool:
    found = [prompt for prompt in prompts if prompt in wanted]
    return found == list(wanted)


def play(exchange):
    with ThreadPoolExecutor(len(TOGETHER)) as stage:
        yield from stage.map(lambda scene: scene(exchange).play(), TOGETHER)
    yield Away(exchange).play()


def inside(kit, programs):
    """What runs in the network namespace."""
    django.setup()
    with tempfile.TemporaryDirectory(prefix="call-") as folder:
        sounds = Path(folder) / "sounds"
        sounds.mkdir()
        write_tone(sounds / f"{GREETING}.wav", GREETINGS, seconds=1)
        with Exchange(kit, programs, sounds, Path(folder)) as exchange:
            for lines in play(exchange):
                sys.stdout.write("\n".join([*lines, "", ""]))


def main():
    kit = requirements.asterisk_kit()
    if kit is None:
        sys.exit(NO_KIT)
    again = [sys.executable, "-m", "tests.engines.live_call", kit, fetch(kit)]
    namespace = ["unshare", "-rn", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    settings = os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"}
    sys.exit(subprocess.run([*namespace, *again], cwd=ROOT, env=settings).returncode)


if __name__ == "__main__":
    inside(*map(Path, sys.argv[1:])) if sys.argv[1:] else main()
