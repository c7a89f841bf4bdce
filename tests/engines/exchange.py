"""A real Asterisk with our sample configuration, the service that it asks, a phone, and a mail server."""

import json
import re
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from threading import Thread

from tests.engines.mail import MailServer
from tests.engines.sound import seconds_of_tone
from tests.server import ROOT, Server, until
from tests.service import OverSocket

SAMPLE = ROOT / "docs/asterisk"
SAMPLE_MAILBOX = "63e54af8-07b5-4fd2-b15b-f4c31a82ca0b"

NO_KIT = "Set ASTERISK_KIT to a folder that runs a real Asterisk: see tests/requirements.py."

# What one dials before a mailbox's uuid.
LEAVE, LISTEN = "1", "2"

# On a machine with far more work than it can do, the phone has broken down before it recorded.
DIALLINGS = 2


def fetch(kit) -> Path:
    """The folder of Asterisk's programs, fetched once. Raises CalledProcessError where that fails."""
    programs = ROOT / "var/asterisk"
    subprocess.run(["bash", kit / "get.sh", programs], check=True, stdout=subprocess.DEVNULL)
    return programs


@dataclass
class Call:
    """A call that is over: what the far end answered, what the phone recorded, what Asterisk played to it."""

    status: int
    recording: Path
    prompts: list[str]

    def seconds_of(self, hertz) -> float:
        return seconds_of_tone(self.recording, hertz)


class BadGateway(BaseHTTPRequestHandler):
    """A proxy's answer for a service that is away, with a page that reads like a mailbox without a pass code."""

    PAGE = b"mailbox=x&context=acme&password="

    def do_GET(self):
        self.send_response(502)
        self.send_header("Content-Length", str(len(self.PAGE)))
        self.end_headers()
        self.wfile.write(self.PAGE)

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_GET()

    def log_message(self, *args):
        """Nobody asks."""


class Exchange:
    """`with Exchange(kit, programs, sounds, folder) as exchange:` all of it is up, on this machine's loopback."""

    def __init__(self, kit, programs, sounds, folder):
        self.kit, self.programs, self.folder = kit, programs, folder
        self.run, self.sample = folder / "run", folder / "sample"
        self.log, self.spool = self.run / "log/full", self.run / "spool/voicemail/acme"
        self.mail = MailServer()
        self.server = Server(f"sqlite:///{folder}/mailboxes.sqlite3", SOUNDS_DIR=str(sounds))
        self.numbers = count(1)

    def __enter__(self):
        with ExitStack() as stack:
            stack.enter_context(self.mail)
            stack.enter_context(self.server)
            self.headers = self.server.prepare()
            self.fill_in_sample()
            stack.enter_context(self.asterisk())
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *error):
        self.stack.__exit__(*error)

    def fill_in_sample(self):
        """Our sample configuration with what a reader fills in; any mailbox can be dialled, by its uuid."""
        issued = self.server.manage("issue_credential", "acme", "asterisk", "--engine", "--json")
        filled = {
            "https://mailboxes.example.com": f"http://127.0.0.1:{self.server.port}",
            "mbx_SECRET": json.loads(issued)["Password"],
            "/usr/sbin/sendmail -t": str(self.sendmail()),
            "exten => 2001,": f"exten => _{LEAVE}!,",
            "exten => *2001,": f"exten => _{LISTEN}!,",
            SAMPLE_MAILBOX: "${EXTEN:1}",
        }
        self.sample.mkdir()
        for source in SAMPLE.glob("*.conf"):
            text = source.read_text()
            for placeholder, value in filled.items():
                text = text.replace(placeholder, value)
            (self.sample / source.name).write_text(text)

    def sendmail(self) -> Path:
        """The program that sends to our mail server: Asterisk has no room for a long command."""
        program = self.folder / "sendmail"
        command = f"{sys.executable} {ROOT}/tests/engines/mail.py {self.mail.port}"
        program.write_text(f"#!/bin/sh\nexec {command}\n")
        program.chmod(0o700)
        return program

    @contextmanager
    def asterisk(self):
        output = self.folder / "asterisk.log"
        command = ["bash", self.kit / "start.sh", self.programs, self.run, self.sample]
        with output.open("wb") as file:
            process = subprocess.Popen(command, stdout=file, stderr=subprocess.STDOUT)
        try:
            until(lambda: b"Asterisk Ready" in output.read_bytes() or process.poll() is not None)
            yield
        finally:
            process.terminate()
            process.wait(timeout=30)

    def api(self) -> OverSocket:
        """The API, for one caller at a time."""
        return OverSocket(self.headers, port=self.server.port)

    def call(self, prefix, uuid, seconds, *digits) -> Call:
        """Dial the mailbox and stay on the line, sending a tone of 440 Hz, or digits at their seconds (`1:4829#`)."""
        recording = self.folder / f"call-{next(self.numbers)}.wav"
        number = f"{prefix}{uuid}"
        command = [sys.executable, self.kit / "call.py", number, str(seconds), recording, *digits]
        for _ in range(DIALLINGS):
            done = subprocess.run(command, capture_output=True, text=True)
            answered = re.search(r"final (\d+)", done.stdout)
            if answered and (answered[1] != "200" or recording.exists()):
                return Call(int(answered[1]), recording, self.prompts(number))
        raise RuntimeError(f"The phone broke down:\n{done.stdout}{done.stderr}")

    def prompts(self, number) -> list[str]:
        """The names of what Asterisk played in the last call to that number, by its own log."""
        log = self.log.read_text(errors="replace")
        channel = re.findall(rf'Executing \[{number}@incoming:1\] \w+\("([^"]+)"', log)[-1]
        played = re.findall(rf"<{channel}> Playing '([^']+)'", log)
        return [sound.rpartition("/")[2].partition(".")[0] for sound in played]

    def messages(self, uuid) -> list[Path]:
        """The recordings in the mailbox, as Asterisk keeps them."""
        return sorted((self.spool / uuid / "INBOX").glob("msg*.wav"))

    def mails(self, number) -> dict:
        """The mail to each address, once that many have got one."""
        until(lambda: len(self.mail.kept) >= number)
        return self.mail.kept

    def take_database_away(self):
        """The service goes on, with a database that cannot be decrypted."""
        self.server.kill()
        self.server.environment["DATABASE_URL"] = f"sqlite:///{self.folder}"
        self.server.start()

    def take_service_away(self):
        self.server.kill()

    @contextmanager
    def proxy_error(self):
        """Where the service was, there is a proxy that does not reach it."""
        with ThreadingHTTPServer(("127.0.0.1", self.server.port), BadGateway) as proxy:
            Thread(target=proxy.serve_forever, daemon=True).start()
            yield
            proxy.shutdown()
