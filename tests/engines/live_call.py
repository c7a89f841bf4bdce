"""Real calls by a real Asterisk to mailboxes that were made by the API.

`python -m tests.engines.live_call` plays the scenes below and prints a report of each. It needs
ASTERISK_KIT (see tests/requirements.py).

Everything runs in its own network namespace, which has only the loopback. Each scene has its own
mailbox, so that all can be played at the same time.
"""

import os
import subprocess
import sys
import tempfile
from array import array
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from textwrap import TextWrapper
from uuid import uuid4

import django

from tests import requirements
from tests.audio.encoding import encode
from tests.engines.exchange import LEAVE, LISTEN, Call, Exchange, fetch_asterisk, find_fault
from tests.engines.sound import measure_tone, write_tone
from tests.recordings import make_samples
from tests.server import ROOT

# The tones of the phone, of our greeting, of Asterisk's beep, and of another greeting.
CALLER_HZ, GREETING_HZ, BEEP_HZ, OTHER_HZ = 440, 660, 700, 1000
GREETING = uuid4()

# Names of Asterisk's prompts.
INTRO, INCORRECT, YOU_HAVE = "vm-intro", "vm-incorrect", "vm-youhave"
RECEIVED, FROM, CHANGED = "vm-received", "vm-from-phonenumber", "vm-passchanged"
TRY_LATER = "please-try-call-later"


wrapper = TextWrapper(
    width=96, initial_indent=" " * 4, subsequent_indent=" " * 8, break_on_hyphens=False
)


class Scene:
    """Calls to one mailbox, and changes of it by the API."""

    name = "Sales"

    def __init__(self, exchange):
        self.exchange, self.report = exchange, []

    def play(self) -> list[str]:
        """Return the report, line by line. It is added to an exception as a note."""
        with closing(self.exchange.connect_to_api()) as self.api:
            try:
                self.act()
            except Exception as error:
                error.add_note("\n".join([self.__doc__, *self.report]))
                raise
        return [self.__doc__, *self.report]

    def add_line(self, line):
        self.report.append(wrapper.fill(line))

    def create(self, **settings):
        answer = self.api.post("/voip/mailbox", {"name": self.name, **settings})
        self.uuid = answer.result["uuid"]
        self.path = f"/voip/mailbox/{self.uuid}"
        self.add_line(f"POST /voip/mailbox {format_fields(settings)}: {answer.status}")

    def change(self, **settings):
        answer = self.api.patch(self.path, settings)
        assert answer.status == 200
        self.add_line(f"PATCH {format_fields(settings)}: {answer.status}")

    def leave_message(self, seconds) -> Call:
        """Call the mailbox, and send a tone until hanging up."""
        call = self.exchange.call(LEAVE, self.uuid, seconds)
        if call.status != 200:
            self.add_line(f"a call to it: {call.status}")
        else:
            tones = {
                "the greeting": GREETING_HZ,
                "another greeting": OTHER_HZ,
                "a beep": BEEP_HZ,
            }
            seconds = {tone: call.seconds_of(hertz) for tone, hertz in tones.items()}
            heard = [f"{seconds[tone]:.1f} s of {tone}" for tone in tones if seconds[tone]]
            self.add_line(
                f"a call to it: heard {' and '.join(heard) or 'no tone'}; {format_prompts(call)}"
            )
        return call

    def measure_message(self) -> float:
        """Return the seconds of the caller's tone in the last message."""
        seconds = measure_tone(self.exchange.list_messages(self.uuid)[-1], CALLER_HZ)
        self.add_line(f"the message holds {seconds:.1f} s of the caller's tone")
        return seconds

    def listen_to_messages(self, seconds, *digits) -> Call:
        """Call to listen, and type digits, each written `second:digits`."""
        call = self.exchange.call(LISTEN, self.uuid, seconds, *digits)
        typed = " ".join(word.partition(":")[2] for word in digits)
        self.add_line(f"a call to listen, typing {typed}: {format_prompts(call)}")
        return call


def format_prompts(call) -> str:
    return f"Asterisk played {' '.join(call.prompts)}"


def format_fields(settings):
    return ", ".join(f"{name} {value}" for name, value in settings.items())


class Message(Scene):
    """A caller leaves a message; it is mailed to each recipient and played by telephone"""

    def act(self):
        self.create(password="4829")
        for address in ("ann@acme.example", "bob@acme.example"):
            self.api.post(f"{self.path}/email-recipient", {"email": address})
        call = self.leave_message(seconds=12)
        assert call.prompts == [INTRO, "beep"]
        assert call.seconds_of(BEEP_HZ) > 0.2
        assert self.measure_message() >= 4
        self.check_mails(self.exchange.list_messages(self.uuid)[-1].read_bytes())
        call = self.listen_to_messages(13, "1.5:4829#", "4.5:1")
        assert call.seconds_of(CALLER_HZ) >= 4
        self.add_line(f"{call.seconds_of(CALLER_HZ):.1f} s of the caller's tone were heard")

    def check_mails(self, recording):
        mails = self.exchange.wait_for_mails(2)
        assert set(mails) == {"ann@acme.example", "bob@acme.example"}
        headers = [str(mail.items()) for mail in mails.values()]
        assert not any(address in header for address in mails for header in headers)
        for address, mail in sorted(mails.items()):
            (attachment,) = mail.iter_attachments()
            assert attachment.get_content() == recording
            self.add_line(
                f"a mail to {address}: “{mail['Subject']}”, with {attachment.get_filename()}"
            )


class Greeting(Scene):
    """The mailbox's greeting is played instead of Asterisk's, and no beep if it is off"""

    name = "x\\,beep=yes&greeting_url=/etc/passwd,${SHELL(id)}%0A\"']]>"

    def act(self):
        self.create(greeting=str(GREETING), beep=False)
        call = self.leave_message(seconds=6)
        assert call.prompts == [str(GREETING)]
        assert call.seconds_of(GREETING_HZ) > 0.8
        assert call.seconds_of(BEEP_HZ) == 0
        assert self.measure_message() >= 3
        self.change(beep=True, greeting=str(uuid4()))
        call = self.leave_message(seconds=8)
        assert call.prompts == [INTRO, "beep"]
        assert call.seconds_of(BEEP_HZ) > 0.2


class Sound(Scene):
    """A greeting uploaded as MP3 is played, then its replacement, then Asterisk's own"""

    def act(self):
        self.upload("POST", "/voip/sound", GREETING_HZ)
        self.create(greeting=self.sound)
        assert self.hear() == [GREETING_HZ]
        self.upload("PATCH", f"/voip/sound/{self.sound}", OTHER_HZ)
        assert self.hear() == [OTHER_HZ]
        self.change(greeting=None)
        assert self.hear() == []
        assert self.call.prompts == [INTRO, "beep"]

    def upload(self, method, path, hertz):
        samples = array("h", make_samples(2, 16_000, hertz))
        content = b64encode(encode("mp3", 16_000, 1, samples)).decode()
        body = {"name": f"Tone of {hertz} Hz", "file_name": "greeting.mp3", "content": content}
        answer = self.api.call(method, path, body)
        assert answer.status in (200, 201)
        self.sound = answer.result["uuid"]
        self.add_line(f"{method} {path.partition('sound')[1]}: {answer.status}")

    def hear(self) -> list[int]:
        """Call the mailbox, and return the tones of greetings that were heard for a second."""
        self.call = self.leave_message(seconds=8)
        return [hertz for hertz in (GREETING_HZ, OTHER_HZ) if self.call.seconds_of(hertz) > 1]


class AtOnce(Sound):
    """Fifty calls at once hear a greeting that Asterisk has not fetched before"""

    CALLS = 50

    def act(self):
        self.upload("POST", "/voip/sound", GREETING_HZ)
        uuids = []
        for _ in range(self.CALLS):
            self.create(greeting=self.sound)
            uuids.append(self.uuid)
        with ThreadPoolExecutor(self.CALLS) as phones:
            calls = list(phones.map(partial(self.exchange.call, LEAVE, seconds=8), uuids))
        heard = sum(call.seconds_of(GREETING_HZ) > 1 for call in calls)
        fallen_back = sum(INTRO in call.prompts for call in calls)
        self.report = [wrapper.fill(f"{heard} of {self.CALLS} calls heard it")]
        assert (heard, fallen_back) == (self.CALLS, 0)


class Announced(Scene):
    """Time and caller of a message are announced before it is played"""

    on = True

    def act(self):
        switches = {"play_caller_id": self.on, "play_timestamp": self.on}
        self.create(password="4829", greeting=str(GREETING), **switches)
        self.leave_message(seconds=5)
        call = self.listen_to_messages(18, "1.5:4829#", "4.5:1")
        said = [prompt for prompt in call.prompts if prompt in (RECEIVED, FROM)]
        assert said == [RECEIVED, FROM] * self.on


class NotAnnounced(Announced):
    """Time and caller are not announced if that is off"""

    on = False


class PassCode(Scene):
    """A pass code changed through the API is valid from the next call on"""

    def act(self):
        self.create(password="4829")
        call = self.listen_to_messages(10, "1.5:9999#", "6:4829#")
        assert are_in_order(call.prompts, INCORRECT, YOU_HAVE)
        self.change(password="7392")
        call = self.listen_to_messages(10, "1.5:4829#", "6:7392#")
        assert are_in_order(call.prompts, INCORRECT, YOU_HAVE)


class PassCodeByTelephone(Scene):
    """A pass code changed by telephone is shown by the API, and history names the engine"""

    def act(self):
        self.create(password="4829")
        call = self.listen_to_messages(15, "1.5:4829#", "4.5:0", "5.5:5", "7.5:5938#", "11:5938#")
        assert CHANGED in call.prompts
        assert self.api.get(self.path).result["password"] == "5938"
        self.add_line("GET: password 5938")
        change = self.api.get(f"{self.path}/history").result[0]
        assert change["by"] == {"account": "acme", "credential": "asterisk", "kind": "engine"}
        self.add_line(f"GET history: {change['action']} by {format_fields(change['by'])}")
        call = self.listen_to_messages(10, "1.5:4829#", "6:5938#")
        assert are_in_order(call.prompts, INCORRECT, YOU_HAVE)


class NoPassCode(Scene):
    """A mailbox without a pass code cannot be opened by telephone"""

    def act(self):
        self.create(password=None)
        call = self.listen_to_messages(12, "1.5:#", "5:0000#")
        assert are_in_order(call.prompts, INCORRECT, INCORRECT)


class Deletion(Scene):
    """A deleted mailbox takes no calls, and a restored one does"""

    def act(self):
        self.create(greeting=str(GREETING))
        assert self.api.delete(self.path).status == 204
        self.add_line("DELETE: 204")
        assert self.leave_message(seconds=2).status == 404
        assert self.api.post(f"{self.path}/restore").status == 200
        self.add_line("POST restore: 200")
        assert self.leave_message(seconds=5).seconds_of(BEEP_HZ) > 0.2
        assert self.measure_message() >= 2


class Away(Scene):
    """While the database is away, or the whole service, callers are asked to try later"""

    def act(self):
        self.create(password="4829")
        self.exchange.break_database()
        self.add_line("the database cannot be opened")
        assert self.leave_message(seconds=2).prompts == [TRY_LATER]
        assert self.listen_to_messages(2, "1:#").prompts == [TRY_LATER]
        self.exchange.stop_service()
        self.add_line("the service is stopped")
        assert self.leave_message(seconds=2).prompts == [TRY_LATER]
        with self.exchange.answer_like_a_proxy():
            self.add_line("a proxy answers 502, with a page that reads like a mailbox")
            assert self.leave_message(seconds=2).prompts == [TRY_LATER]
            assert self.listen_to_messages(6, "1.5:#").prompts == [TRY_LATER]
        assert "returned response code (502)" in self.exchange.log.read_text(errors="replace")


PARALLEL_SCENES = [
    Message,
    Greeting,
    Sound,
    Announced,
    NotAnnounced,
    PassCode,
    PassCodeByTelephone,
    NoPassCode,
    Deletion,
]
# These need the machine for themselves; Away stops the service, so it is the last.
LATER_SCENES = [AtOnce, Away]
SCENES = [*PARALLEL_SCENES, *LATER_SCENES]


def are_in_order(prompts, *wanted) -> bool:
    found = [prompt for prompt in prompts if prompt in wanted]
    return found == list(wanted)


def play_scenes(exchange):
    with ThreadPoolExecutor(len(PARALLEL_SCENES)) as stage:
        yield from stage.map(lambda scene: scene(exchange).play(), PARALLEL_SCENES)
    for scene in LATER_SCENES:
        yield scene(exchange).play()


def play_in_namespace(kit, programs):
    """Play the scenes in the network namespace."""
    django.setup()
    with tempfile.TemporaryDirectory(prefix="call-") as folder:
        sounds = Path(folder) / "sounds"
        sounds.mkdir()
        write_tone(sounds / f"{GREETING}.wav", GREETING_HZ, seconds=1)
        with Exchange(kit, programs, sounds, Path(folder)) as exchange:
            for lines in play_scenes(exchange):
                sys.stdout.write("\n".join([*lines, "", ""]))


def main():
    kit = requirements.asterisk_kit()
    if fault := find_fault(kit):
        sys.exit(fault)
    try:
        programs = fetch_asterisk(kit)
    except subprocess.CalledProcessError as error:
        sys.exit(f"Asterisk's programs cannot be fetched: get.sh ended with {error.returncode}.")
    command = [sys.executable, "-m", "tests.engines.live_call", kit, programs]
    namespace = ["unshare", "-rn", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    settings = os.environ | {"DJANGO_SETTINGS_MODULE": "tests.settings"}
    sys.exit(subprocess.run([*namespace, *command], cwd=ROOT, env=settings).returncode)


if __name__ == "__main__":
    play_in_namespace(*map(Path, sys.argv[1:])) if sys.argv[1:] else main()
