"""Lists of mailboxes: short ones are built in memory, long ones in a file.

So a process needs little memory, whatever the number of callers and the size of their lists. A list
comes from one query, and shows one moment.
"""

from collections.abc import Generator, Iterator
from contextlib import closing
from functools import partial
from hashlib import sha256
from itertools import chain, islice

import orjson
from django.db.models import OuterRef

from mailboxes.api import representation
from mailboxes.api.conditions import digest_to_etag
from mailboxes.api.representation import (
    PassCodes,
    account_by_id,
    mailbox_json,
    select_texts,
)
from mailboxes.contract import envelope
from mailboxes.db.json import DELIMITER, Concatenated, JsonRows, RawText
from mailboxes.db.queries import PreparedQuery
from mailboxes.http.bodies import MAX_ANSWER_FILES, READ_BYTES, LongBody, answer_files
from mailboxes.models import Mailbox
from mailboxes.models.credentials import CALLER_COLUMNS, credentials_by_secret
from mailboxes.models.timestamps import IN_ORDER

MAX_IN_MEMORY = 1000  # mailboxes
CHUNK_SIZE = 200  # mailboxes of a long list that are in memory


def list_text(account: str) -> RawText:
    """Return an SQL expression for the account's active mailboxes: one JSON array.

    One long row is much faster than a row for each mailbox. The array has at most MAX_IN_MEMORY + 1
    mailboxes: the last one shows that there are more.
    """
    mailboxes = Mailbox.objects.active().filter(account=OuterRef(account)).order_by(*IN_ORDER)
    texts = mailboxes.values(one=Concatenated(*mailbox_json()))[: MAX_IN_MEMORY + 1]
    return RawText(Concatenated("[", JsonRows(texts), "]"))


# Each returns one text; with CALLER, after the columns that authentication needs.
LIST = PreparedQuery(lambda: account_by_id().values_list(list_text("pk")))
CALLER_AND_LIST = PreparedQuery(
    lambda: credentials_by_secret().values_list(*CALLER_COLUMNS, list_text("account"))
)


class LongList:
    """The body of an answer: a list in an unnamed file, and its headers.

    It is complete before it is sent, so a slow caller occupies no database connection. Raises
    TooManyFilesError.
    """

    def __init__(self, texts: Iterator[str]):
        self.file = LongBody(answer_files, MAX_ANSWER_FILES)
        self.digest, self.count = sha256(), 0
        try:
            for piece in self.build_pieces(texts):
                self.digest.update(piece)
                self.file.write(piece)
        except Exception:
            self.file.close()
            raise
        self.headers = {
            "Content-Length": str(self.file.tell()),
            "X-Total-Count": str(self.count),
        }

    def build_pieces(self, texts: Iterator[str]) -> Iterator[bytes]:
        start, end = orjson.dumps(envelope(200, [])).split(b"[]")
        between, codes = start + b"[", PassCodes()
        while chunk := list(islice(texts, CHUNK_SIZE)):
            yield between
            yield representation.decrypt_in_place(",".join(chunk).encode(), codes)
            between = b","
            self.count += len(chunk)
        yield b"]" + end
        codes.log_lost()

    def get_etag(self, headers: dict) -> str:
        return digest_to_etag(self.digest.copy(), headers)

    def __iter__(self) -> Iterator[bytes]:
        self.file.seek(0)
        return iter(partial(self.file.read, READ_BYTES), b"")

    def close(self) -> None:
        self.file.close()


def fetch_list(using: str, account: int) -> tuple[orjson.Fragment | LongList, dict]:
    """Return the account's active mailboxes, and headers."""
    ((text,),) = LIST.rows(using, account=account)
    return render_list(text, using, account)


def render_list(text: bytes, using: str, account: int) -> tuple[orjson.Fragment | LongList, dict]:
    """Return the account's list, and headers. `text` has its first mailboxes, or all."""
    if count_mailboxes(text) <= MAX_IN_MEMORY:
        return render_text(text)
    mailboxes = Mailbox.objects.using(using).active().filter(account=account)
    return render_texts(select_texts(mailboxes, *IN_ORDER).iterator(CHUNK_SIZE))


def render_texts(texts: Generator[str]) -> tuple[orjson.Fragment | LongList, dict]:
    """Return the list of these mailboxes, and headers."""
    with closing(texts):
        first = list(islice(texts, MAX_IN_MEMORY + 1))
        if len(first) <= MAX_IN_MEMORY:
            return render_text(f"[{','.join(first)}]".encode())
        mailboxes = LongList(chain(first, texts))
        return mailboxes, mailboxes.headers


def render_text(text: bytes) -> tuple[orjson.Fragment, dict]:
    codes = PassCodes()
    mailboxes = representation.decrypt_in_place(text, codes)
    codes.log_lost()
    return orjson.Fragment(mailboxes), {"X-Total-Count": str(count_mailboxes(text))}


def count_mailboxes(text: bytes) -> int:
    return text.count(DELIMITER.encode()) // 2
