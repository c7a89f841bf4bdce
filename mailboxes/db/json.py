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

DELIMITER = "\x1f"  # before and after an encrypted text; JSON escapes this character
UUID_DIGITS = 32


class SqlTemplate(Func):
    """An SQL expression for text or JSON, with a template for each database."""

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
    """The UTC date of a timestamp, as text: YYYY-MM-DD."""

    postgresql = "%(expressions)s::date::text"
    sqlite = "substr(%(expressions)s, 1, 10)"


class UuidText(SqlTemplate):
    """A UUID with hyphens, as text."""

    postgresql = "%(expressions)s::text"
    # SQLite stores 32 digits: add the hyphens.
    sqlite = " || '-' || ".join(
        f"substr(%(expressions)s, {start}, {count})"
        for start, count in ((1, 8), (9, 4), (13, 4), (17, 4), (21, 12))
    )


class QuotedOrNull(SqlTemplate):
    postgresql = sqlite = """coalesce('"' || %(expressions)s || '"', 'null')"""


class UuidDigits(SqlTemplate):
    """The 32 digits of a UUID, as text."""

    postgresql = "encode(uuid_send(%(expressions)s), 'hex')"
    sqlite = "%(expressions)s"


class EncryptedText(SqlTemplate):
    """An encrypted column, or an empty text if it is null. A DELIMITER in it is removed."""

    postgresql = sqlite = f"coalesce(replace(%(expressions)s, '{DELIMITER}', ''), '')"


class Literal(Func):
    """A constant text. It must not contain a quotation mark or a percent sign."""

    output_field = TextField()

    def __init__(self, text: str):
        super().__init__(template=f"'{text}'")


class Concatenated(Func):
    """Constants and expressions, joined. Each join copies the text, so constants are merged."""

    template = "%(expressions)s"
    arg_joiner = " || "
    output_field = TextField()

    def __init__(self, *texts):
        super().__init__(
            *(
                text
                for is_constant, group in groupby(texts, key=lambda text: isinstance(text, str))
                for text in ([Literal("".join(group))] if is_constant else group)
            )
        )


class JsonRows(Subquery):
    """Join the column `one` of a subquery's rows with commas, in row order, for a JSON array."""

    output_field = TextField()
    template = "coalesce((SELECT %(all)s(one, ',') FROM (%(subquery)s) AS each), '')"

    def as_postgresql(self, compiler, connection):
        return self.as_sql(compiler, connection, all="string_agg")

    def as_sqlite(self, compiler, connection):
        return self.as_sql(compiler, connection, all="group_concat")


class RawText(SqlTemplate):
    """A text that a PreparedQuery reads as bytes, so that it can be sent without decoding."""

    output_field = BinaryField()
    postgresql = f"(%(expressions)s)::{BYTES_TYPE}"
    sqlite = "CAST(%(expressions)s AS BLOB)"


def json_object(values: dict, keys) -> Iterator:
    """Yield the parts of a JSON object, for Concatenated. Each value is a sequence of parts."""
    for number, key in enumerate(keys):
        yield f'{"," if number else "{"}"{key}":'
        yield from values[key]
    yield "}"


def add_quotes(text) -> tuple:
    return '"', text, '"'
