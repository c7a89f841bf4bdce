"""Time the lookups of engines among many mailboxes, on SQLite and PostgreSQL.

`python -m tests.engines.lookup_speed` prints the median and the minimum, in milliseconds, from the
service's log. MAILBOXES sets the number of mailboxes.
"""

import json
import os
import random
import sys
import tempfile
from contextlib import closing, nullcontext
from pathlib import Path
from statistics import median

import django

from tests import requirements
from tests.postgres import PrivatePostgres
from tests.server import Server
from tests.service import OverSocket

LOOKUPS = 500  # of each kind


def read_times(server, path) -> list[float]:
    """Return the milliseconds of the last calls of a path, without the tenth for warming up."""
    lines = [json.loads(line) for line in server.output().splitlines()]
    times = [line["milliseconds"] for line in lines if line.get("path") == path][-LOOKUPS:]
    return times[LOOKUPS // 10 :]


def look_up_mailboxes(server, account, mailboxes):
    """Look mailboxes up by both engines, with a credential of the account (`-`: of all)."""
    from tests.engines.engine import FORM, basic_header, encode_form

    credential = json.loads(server.manage("issue_credential", account, "pbx", "--engine", "--json"))
    headers = basic_header(credential["User"], credential["Password"]) | FORM
    with closing(OverSocket(headers, port=server.port)) as engine:
        for uuid, name in mailboxes:
            answer = engine.post(
                "/asterisk/voicemail/single", encode_form(mailbox=uuid, context=name)
            )
            assert b"password=" in answer.body
            fields = {"section": "directory", "action": "voicemail-lookup", "key": "id"}
            answer = engine.post(
                "/freeswitch/directory", encode_form(**fields, user=uuid, domain=name)
            )
            assert b"vm-password" in answer.body


def measure(url, count):
    """Fill the database, and yield a line with the times of each kind of lookup."""
    from mailboxes.models import Mailbox
    from tests.databases import default_database

    with Server(url, LOG_FORMAT="json") as server:
        server.manage("migrate", "--verbosity", "0")
        server.manage("load_demo", "--accounts", "1000", "--mailboxes", str(count))
        with default_database(url):
            active = Mailbox.objects.active().filter(account__is_active=True)
            readable = list(active.values_list("uuid", "account__name"))
        of_one = [found for found in readable if found[1] == readable[0][1]]
        for account, found in ((readable[0][1], of_one), ("-", readable)):
            look_up_mailboxes(server, account, random.Random(1).choices(found, k=LOOKUPS))
            of = "every account" if account == "-" else "one account"
            for path in ("/asterisk/voicemail/single", "/freeswitch/directory"):
                times = read_times(server, path)
                summary = f"median {median(times):.1f} ms, least {min(times):.1f} ms"
                yield f"an engine of {of}, {path}: {summary}"


def main():
    count = int(os.environ.get("MAILBOXES", "100000"))
    programs = requirements.postgres_programs()
    postgres = PrivatePostgres(programs) if programs else nullcontext()
    with tempfile.TemporaryDirectory() as folder, postgres:
        urls = {"SQLite": f"sqlite:///{Path(folder)}/mailboxes.sqlite3"}
        if programs:
            urls["PostgreSQL"] = postgres.create("lookups")
        for engine, url in urls.items():
            for line in measure(url, count):
                sys.stdout.write(f"{engine}, {count:,} mailboxes, {line}\n")
                sys.stdout.flush()


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
    django.setup()
    main()
