"""A copy that is kept with `changed_since` misses nothing, whatever is written meanwhile."""

import io
import json
import subprocess
import sys
from contextlib import closing, contextmanager

import pytest
from django.contrib.auth.models import User

from mailboxes.csvfiles import importing
from mailboxes.csvfiles.rows import format_rows
from mailboxes.models import Account, ChangeFeed, Mailbox
from tests.databases import default_database
from tests.documents import blocks
from tests.guarantees.writers import LIST, open_writers, sum_counts, writing
from tests.server import PreparedServer, until
from tests.service import OverSocket

ROWS, CHANGED = 15_000, 5_000  # of an import; those that change an existing mailbox
WRITERS = 2


@contextmanager
def running_sample(server, folder):
    """Run the documented program, which keeps a copy in a file, and yield the file."""
    ((_, program),) = blocks("docs/api.md", "python")
    secret = server.headers["X-Auth-Password"]
    values = {"127.0.0.1:8000": f"127.0.0.1:{server.port}", "SECRET": secret, "(10)": "(0.05)"}
    for example, value in values.items():
        assert program.count(example) == 1
        program = program.replace(example, value)
    with subprocess.Popen([sys.executable, "-c", program], cwd=folder) as process:
        try:
            yield folder / "copy.json"
        finally:
            process.terminate()


def read_copy(path) -> dict:
    return json.loads(path.read_text())["mailboxes"] if path.exists() else {}


def stage_import(uuids):
    """Stage and check an import of new mailboxes, and of new names for the mailboxes."""
    rows = [[str(uuid), "", f"Imported {uuid}"] for uuid in uuids]
    rows += [["", "acme", f"New {number}"] for number in range(ROWS - len(rows))]
    text = format_rows([["uuid", "account", "name"], *rows])
    rosa = User.objects.create_user("rosa")
    source = importing.stage_file(rosa, io.BytesIO(text.encode()), "mailboxes.csv")
    importing.check_rows(source, seconds=600)
    return source, rosa


@pytest.mark.long
def test_copy_is_complete_after_a_long_import_among_other_writers(databases, tmp_path, promise):
    url = databases.empty()
    with PreparedServer(url) as server, default_database(url):
        account = Account.objects.get()
        boxes = [Mailbox(account=account, name=f"Box {number}") for number in range(CHANGED)]
        Mailbox.objects.bulk_create(boxes)
        staged = stage_import([box.pk for box in boxes])
        with (
            closing(OverSocket(server.headers, port=server.port)) as service,
            open_writers(WRITERS, server.headers, server.port) as writers,
            running_sample(server, tmp_path) as path,
        ):
            for writer in writers:  # on SQLite they wait for the end of the import
                writer.service.connection.timeout = 120
            until(lambda: len(read_copy(path)) == CHANGED)
            with writing(writers):
                importing.write_import(*staged)
            for writer in writers:
                writer.settle()
            expected = {mailbox["uuid"]: mailbox for mailbox in service.get(LIST).result}
            assert len(expected) >= ROWS
            until(lambda: len(read_copy(path)) == len(expected))
            version = path.stat().st_mtime_ns
            until(lambda: path.stat().st_mtime_ns > version)
            copy = read_copy(path)
            # The program starts anew if its cursors are outdated.
            ChangeFeed.objects.all().delete()
            Mailbox.objects.filter(pk=boxes[0].pk).delete()
            until(lambda: len(read_copy(path)) == len(expected) - 1)
    wrong = {uuid for uuid in copy.keys() | expected.keys() if copy.get(uuid) != expected.get(uuid)}
    written = f"{sum_counts(writers, 'acknowledged'):,} other writes"
    title = f"A copy kept with `changed_since` misses nothing, {databases.engine}"
    promise(title, f"an import of {ROWS:,} rows, {written}", len(wrong))
