"""SQL expressions that write JSON."""

from collections.abc import Iterator
from itertools import groupby

from django.db.models import (
    BinaryField,
    Field,
    Func,
    Subquery,
    TextField,
)

from mailboxes.db.queries import BYTES_TYPE

DELIMITER = "\x1f"  # before what is sealed, and behind it. No JSON has it.
UUID_DIGITS = 32  # of a uuid


class SqlTemplate(Func):
    """What is written of a column: JSON, where nothing else is said. Text, by the kind of database."""

    output_field: Field = TextField()
    postgresql: str
    sqlite: str

    def as_postgresql(self, compiler, connection):
        return self.as_sql(compiler, connection, template=self.postgresql)

    def as_sqlite(self, compiler, connection):
        return self.as_sql(compiler, connection, template=self.sqlite)


class JsonBoolean(SqlTemplate):
    postgresql = sqlite = "CASE WHEN %(expressions)s THEN 'true' ELSE 'false' END"


class JsonText(SqlTemplate):
    postgresql = "to_json(%(expressions)s)::text"
    sqlite = "json_quote(%(expressions)s)"


class DateText(SqlTemplate):
    """Of a moment, in the connection's time zone and style, which are UTC and ISO. No JSON: it lacks the quotes."""

    postgresql = "%(expressions)s::date::text"
    sqlite = "substr(%(expressions)s, 1, 10)"


class UuidText(SqlTemplate):
    """A uuid. No JSON: it lacks the quotes."""

    postgresql = "%(expressions)s::text"
    # 32 digits; the hyphens stand behind the 8th, 12th, 16th and 20th.
    sqlite = " || '-' || ".join(
        f"substr(%(expressions)s, {start}, {count})"
        for start, count in ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
    )


class QuotedOrNull(SqlTemplate):
    postgresql = sqlite = """coalesce('"' || %(expressions)s || '"', 'null')"""


class UuidDigits(SqlTemplate):
    """Those of a uuid. No JSON."""

    postgresql = "encode(uuid_send(%(expressions)s), 'hex')"
    sqlite = "%(expressions)s"


class EncryptedText(SqlTemplate):
    """The text itself, or none; without a seam, which only a damaged one has. No JSON."""

    postgresql = sqlite = f"coalesce(replace(%(expressions)s, '{DELIMITER}', ''), '')"


class Literal(Func):
    """A text of ours."""

    output_field = TextField()

    def __init__(self, text: str):
        super().__init__(template=f"'{text}'")


class Concatenated(Func):
    """Texts in a row, of ours or of columns. Each that is joined is a copy of all before it: ours are made one."""

    template = "%(expressions)s"
    arg_joiner = " || "
    output_field = TextField()

    def __init__(self, *texts):
        together = groupby(texts, key=lambda text: isinstance(text, str))
        super().__init__(
            *(
                text
                for is_ours, some in together
                for text in ([Literal("".join(some))] if is_ours else some)
            )
        )


class JsonRows(Subquery):
    """What the rows of a query hold as `one`, in its order, with commas between."""

    output_field = TextField()
    template = "coalesce((SELECT %(all)s(one, ',') FROM (%(subquery)s) AS each), '')"

    def as_postgresql(self, compiler, connection):
        return self.as_sql(compiler, connection, all="string_agg")

    def as_sqlite(self, compiler, connection):
        return self.as_sql(compiler, connection, all="group_concat")


class RawText(SqlTemplate):
    """A text as bytes, where a Statement reads it: it goes to the caller as it came."""

    output_field = BinaryField()
    postgresql = f"(%(expressions)s)::{BYTES_TYPE}"
    sqlite = "CAST(%(expressions)s AS BLOB)"


def json_object(values: dict, keys) -> Iterator:
    """The texts of a JSON object: these keys, each with the texts of its value."""
    for number, key in enumerate(keys):
        yield f'{"," if number else "{"}"{key}":'
        yield from values[key]
    yield "}"


def quoted(text) -> tuple:
    return '"', text, '"'
