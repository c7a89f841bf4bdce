"""A real Asterisk with the sample configuration, the service, a phone and a mail server."""

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
from tests.engines.sound import measure_tone
from tests.server import ROOT, PreparedServer, until
from tests.service import OverSocket

SAMPLE = ROOT / "docs/asterisk"
SAMPLE_MAILBOX = "63e54af8-07b5-4fd2-b15b-f4c31a82ca0b"

NO_KIT = "Set ASTERISK_KIT to a folder that runs a real Asterisk: see tests/requirements.py."

KIT_FILES = ("get.sh", "start.sh", "call.py")

# Dialled before a mailbox's uuid.
LEAVE, LISTEN = "1", "2"

# On a very busy machine the phone may fail before it records.
ATTEMPTS = 2


def find_fault(kit: Path | None) -> str:
    """Return a sentence if this is no folder of a kit, else an empty text."""
    if kit is None:
        return NO_KIT
    missing = [name for name in KIT_FILES if not (kit / name).is_file()]
    if not missing:
        return ""
    return f"ASTERISK_KIT is {kit}, which is no kit for Asterisk: it lacks {', '.join(missing)}."


def fetch_asterisk(kit) -> Path:
    """Return the folder of Asterisk's programs. Raise CalledProcessError if fetching fails."""
    programs = ROOT / "var/asterisk"
    subprocess.run(["bash", kit / "get.sh", programs], check=True, stdout=subprocess.DEVNULL)
    return programs


@dataclass
class Call:
    """A finished call: its SIP status, the phone's recording, and the prompts played to it."""

    status: int
    recording: Path
    prompts: list[str]

    def seconds_of(self, hertz) -> float:
        return measure_tone(self.recording, hertz)


class BadGateway(BaseHTTPRequestHandler):
    """A proxy whose error page reads like a mailbox without a pass code."""

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
        """Log nothing."""


class Exchange:
    """Context manager: Asterisk, service, phone and mail server on this machine's loopback."""

    def __init__(self, kit, programs, sounds, folder):
        self.kit, self.programs, self.folder = kit, programs, folder
        self.run, self.sample = folder / "run", folder / "sample"
        self.log, self.spool = self.run / "log/full", self.run / "spool/voicemail/acme"
        self.mail = MailServer()
        self.server = PreparedServer(
            f"sqlite:///{folder}/mailboxes.sqlite3", SOUNDS_DIR=str(sounds)
        )
        self.numbers = count(1)

    def __enter__(self):
        with ExitStack() as stack:
            stack.enter_context(self.mail)
            stack.enter_context(self.server)
            self.headers = self.server.headers
            self.write_configuration()
            stack.enter_context(self.run_asterisk())
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *error):
        self.stack.__exit__(*error)

    def write_configuration(self):
        """Fill in the sample configuration; every mailbox can be dialled by its uuid."""
        credential = self.server.manage(
            "issue_credential", "acme", "asterisk", "--engine", "--json"
        )
        values = {
            "https://mailboxes.example.com": f"http://127.0.0.1:{self.server.port}",
            "mbx_SECRET": json.loads(credential)["Password"],
            "/usr/sbin/sendmail -t": str(self.write_sendmail()),
            "exten => 2001,": f"exten => _{LEAVE}!,",
            "exten => *2001,": f"exten => _{LISTEN}!,",
            SAMPLE_MAILBOX: "${EXTEN:1}",
        }
        self.sample.mkdir()
        for source in SAMPLE.glob("*.conf"):
            text = source.read_text()
            for placeholder, value in values.items():
                text = text.replace(placeholder, value)
            (self.sample / source.name).write_text(text)

    def write_sendmail(self) -> Path:
        """Return a program that sends to our mail server: Asterisk truncates a long command."""
        program = self.folder / "sendmail"
        command = f"{sys.executable} {ROOT}/tests/engines/mail.py {self.mail.port}"
        program.write_text(f"#!/bin/sh\nexec {command}\n")
        program.chmod(0o700)
        return program

    @contextmanager
    def run_asterisk(self):
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

    def connect_to_api(self) -> OverSocket:
        """Return a caller of the API, for one thread."""
        return OverSocket(self.headers, port=self.server.port)

    def call(self, prefix, uuid, seconds, *digits) -> Call:
        """Dial the mailbox, and send a tone of 440 Hz or digits at their seconds (`1:4829#`)."""
        recording = self.folder / f"call-{next(self.numbers)}.wav"
        number = f"{prefix}{uuid}"
        command = [sys.executable, self.kit / "call.py", number, str(seconds), recording, *digits]
        for _ in range(ATTEMPTS):
            done = subprocess.run(command, capture_output=True, text=True)
            answered = re.search(r"final (\d+)", done.stdout)
            if answered and (answered[1] != "200" or recording.exists()):
                return Call(int(answered[1]), recording, self.read_prompts(number))
        raise RuntimeError(f"The phone failed:\n{done.stdout}{done.stderr}")

    def read_prompts(self, number) -> list[str]:
        """Return the sounds played in the last call to the number, from Asterisk's log."""
        log = self.log.read_text(errors="replace")
        channel = re.findall(rf'Executing \[{number}@incoming:1\] \w+\("([^"]+)"', log)[-1]
        played = re.findall(rf"<{channel}> Playing '([^']+)'", log)
        return [sound.rpartition("/")[2].partition(".")[0] for sound in played]

    def list_messages(self, uuid) -> list[Path]:
        """Return the recordings in the mailbox, oldest first."""
        return sorted((self.spool / uuid / "INBOX").glob("msg*.wav"))

    def wait_for_mails(self, number) -> dict:
        """Wait for this number of addresses with mail, and return the last mail to each."""
        until(lambda: len(self.mail.mails_by_address) >= number)
        return self.mail.mails_by_address

    def break_database(self):
        """Restart the service with a database that cannot be opened."""
        self.server.kill()
        self.server.environment["DATABASE_URL"] = f"sqlite:///{self.folder}"
        self.server.start()

    def stop_service(self):
        self.server.kill()

    @contextmanager
    def answer_like_a_proxy(self):
        """Answer on the service's port like a proxy that does not reach it."""
        with ThreadingHTTPServer(("127.0.0.1", self.server.port), BadGateway) as proxy:
            Thread(target=proxy.serve_forever, daemon=True).start()
            yield
            proxy.shutdown()
