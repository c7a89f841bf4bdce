"""The command of `make run`: migrate, load demo data, print the addresses, serve, work."""

import json
import logging
import re
import secrets
import subprocess
import sys
from io import StringIO
from threading import Event, Thread

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import BaseCommand, call_command
from django.db import transaction

from mailboxes.management.commands.load_demo import USER
from mailboxes.management.commands.serve import listen, port_number
from mailboxes.models import Account, ApiCredential

log = logging.getLogger("mailboxes")

# The demo's logins, which each start prints: a configuration file for curl (`curl -K`), readable
# for its owner only.
LOGINS = settings.BASE_DIR / "var" / "demo.curl"
ACCOUNT = "demo"


class Command(BaseCommand):
    help = (
        "Migrate, load demo data into an empty database, print the addresses, serve, and run tasks."
    )

    def add_arguments(self, parser):
        parser.add_argument("--port", type=port_number, default=8000, help="port to listen on")

    def handle(self, *args, port, **options):
        listen("127.0.0.1", port).close()  # fails on a port in use before anything is created
        call_command("migrate", verbosity=0)
        if not Account.objects.exists():
            self.create_demo()
        self.print_addresses(f"http://127.0.0.1:{port}")
        with SupervisedWorker():
            call_command("serve", port=port)

    @transaction.atomic
    def create_demo(self):
        password = secrets.token_urlsafe(12)
        user = get_user_model().objects.create_superuser(USER, password=password)
        call_command("load_demo", stdout=self.stdout)
        headers = StringIO()
        call_command("issue_credential", ACCOUNT, USER, "--json", stdout=headers)
        ApiCredential.history.update(history_user=user)
        LOGINS.touch(mode=0o600)
        with LOGINS.open("w") as file:
            file.write(f"# staff login: {USER} / {password}\n")
            for name, value in json.loads(headers.getvalue()).items():
                file.write(f'header = "{name}: {value}"\n')

    def print_addresses(self, address):
        """Print the addresses, and those of the demo's logins that still work."""
        self.stdout.write(
            f"\nConsole         {address}/"
            f"\nAdministration  {address}/admin/"
            f"\nAPI reference   {address}/docs/"
            f"\nMails           {describe_mail_server()}"
        )
        logins = LOGINS.read_text() if LOGINS.exists() else ""
        staff = re.search("^# staff login: (.+) / (.+)$", logins, re.MULTILINE)
        if staff and self.can_sign_in(*staff.groups()):
            self.stdout.write(f"Staff login     {staff[1]} / {staff[2]}")
        headers = re.findall('^header = "(.+)"$', logins, re.MULTILINE)
        if headers and ApiCredential.objects.authenticate(headers[-1].split()[-1]):
            options = " ".join(f"-H '{header}'" for header in headers)
            self.stdout.write(f"\ncurl {options} {address}/voip/mailbox")
        self.stdout.write("\nCtrl-C stops the service.")
        self.stdout.flush()

    @staticmethod
    def can_sign_in(username, password) -> bool:
        user = get_user_model().objects.filter(username=username, is_active=True).first()
        return user is not None and user.check_password(password)


class SupervisedWorker:
    """Context manager: a task worker in a child process, started again if it is killed.

    The child ends when its standard input is closed, so also if this process is killed. Ctrl-C in
    a terminal reaches only this process.
    """

    COMMAND = [sys.executable, "manage.py", "work", "--until-eof"]
    STOP_SECONDS = 30  # for the tasks that run
    PAUSE = 1  # seconds, until it is started again

    def __enter__(self):
        self.is_stopping = Event()
        self.thread = Thread(target=self.supervise, name="worker")
        self.thread.start()

    def __exit__(self, *error):
        self.is_stopping.set()
        self.thread.join()

    def supervise(self) -> None:
        while True:
            process = subprocess.Popen(  # noqa: S603  our own
                self.COMMAND,
                cwd=settings.BASE_DIR,
                stdin=subprocess.PIPE,
                start_new_session=True,
            )
            while process.poll() is None and not self.is_stopping.wait(self.PAUSE / 2):
                pass
            if self.is_stopping.is_set():
                self.stop(process)
                return
            log.warning(
                "The task worker ended with status %s. It starts again.", process.returncode
            )
            self.is_stopping.wait(self.PAUSE)

    def stop(self, process: subprocess.Popen) -> None:
        try:
            process.communicate(timeout=self.STOP_SECONDS)  # closes its standard input
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def describe_mail_server() -> str:
    """Return where mails go, in words."""
    if not settings.SENDS_MAIL:
        return "none are sent (set EMAIL_URL, see .env.example)"
    folder = settings.MAIL_SERVER.get("EMAIL_FILE_PATH")
    if folder is None:
        return f"are sent to {settings.EMAIL_HOST}"
    if folder.is_relative_to(settings.BASE_DIR):
        folder = folder.relative_to(settings.BASE_DIR)
    return f"are written to {folder}/"
