"""Searches of messages for words and numbers."""

from dataclasses import dataclass
from functools import reduce
from operator import and_, or_
from typing import Any
from uuid import UUID

from django.db.models import Exists, OuterRef, Q
from django.utils.translation import gettext

from mailboxes.db import among  # noqa: F401  adds the lookup
from mailboxes.models.numbers import Number, split_numbers, strip_column, strip_separators
from mailboxes.models.searching import contains, fold, split_words

NEWEST_FIRST = ["-received_at", "-uuid"]

# If at most this many mailboxes have a word in their name, an index finds their messages.
MOST_NAMED = 500
# The least letters of a word that finds "Unknown caller": "call" alone is too short.
LEAST_LETTERS = 5


@dataclass
class Term:
    """Successive words that may be one number, or another word. It matches as either."""

    words: list[str]
    number: Number | None

    @property
    def folded(self) -> list[str]:
        return [fold(word) or word for word in self.words]


class MessageSearch:
    """Words and numbers, each of which a message must have. Raises ValidationError.

    They are searched in the caller's name and number, and `in_transcriptions`. With the `mailboxes`
    that the messages may belong to, they are searched in what the console shows of a message, too:
    its mailbox's name, and "Unknown caller".
    """

    def __init__(self, text: str, *, in_transcriptions: bool = True, mailboxes=None):
        groups = split_numbers(split_words(text))
        self.terms = [Term(words, Number.parse(words)) for words in groups]
        self.in_transcriptions, self.mailboxes = in_transcriptions, mailboxes
        self.as_shown = mailboxes is not None

    def matches(self, row) -> bool:
        caller = fold(f"{row.caller_id_name}\n{row.caller_id_number}")
        if self.as_shown:
            caller += "\n" + fold(row.mailbox.name)
        is_unknown = not (row.caller_id_name or row.caller_id_number)
        number = strip_separators(row.caller_id_number)
        missing = [
            word
            for term in self.terms
            if not (term.number and term.number.is_in(number))
            for word in term.folded
            if word not in caller and not (is_unknown and self.is_unknown(word))
        ]
        if not missing or not self.in_transcriptions or row.transcription_sealed is None:
            return not missing
        text = fold(row.readable_transcription or "")
        return all(word in text for word in missing)

    def is_unknown(self, word: str) -> bool:
        """Return True if a word of the translated "Unknown caller" begins with this one."""
        shown = fold(gettext("Unknown caller")).split()
        is_long = self.as_shown and len(word) >= LEAST_LETTERS
        return is_long and any(each.startswith(fold(word)) for each in shown)

    def get_condition(self) -> Q:
        """Return the condition for columns in clear. The query needs the alias `bare_number`."""
        return reduce(and_, map(self.get_condition_of, self.terms), Q())

    def get_condition_of(self, term: Term) -> Q:
        found = reduce(and_, map(self.has_word, term.words))
        if term.number:
            found |= Q(bare_number__contains=term.number.part)
            found |= Q(bare_number__in=term.number.national)
        return found

    def has_word(self, word: str) -> Q:
        found = Q(caller_id_name__icontains=word) | Q(caller_id_number__icontains=word)
        if self.as_shown:
            found |= is_in_mailbox_named(word, self.mailboxes)
        if self.is_unknown(word):
            found |= Q(caller_id_name="", caller_id_number="")
        return found


def has_name(text: str) -> Q:
    """Match mailboxes with each word in their name. Raises ValidationError."""
    return reduce(and_, (contains("name", word) for word in split_words(text)), Q())


def is_in_mailbox_named(text: str, mailboxes) -> Q:
    """Match messages of those of the mailboxes that have each word in their name."""
    named = mailboxes.filter(has_name(text)).order_by()
    first = list(named.values_list("pk", flat=True)[: MOST_NAMED + 1])
    if len(first) <= MOST_NAMED:
        return Q(mailbox__in=first)
    return Q(Exists(named.filter(pk=OuterRef("mailbox"))))  # fast for many mailboxes


class Searches:
    """Methods of the queryset of messages."""

    def search(self: Any, text: str):
        """Return messages that have each word in the caller's name or number, or transcription.

        Transcriptions are encrypted, so each of them is decrypted. Raises ValidationError for too
        many words.
        """
        return self.filter(pk__among=self.find(MessageSearch(text)))

    def search_newest(self: Any, text: str, most: int, mailboxes, *, in_transcriptions: bool):
        """Search what the console shows of messages of these mailboxes.

        Only the newest ones' transcriptions are searched. The same goes for names with accents:
        databases do not compare them as `fold` does.
        """
        search = MessageSearch(text, in_transcriptions=in_transcriptions, mailboxes=mailboxes)
        newest = self.order_by(*NEWEST_FIRST)[:most]
        found = Q(pk__among=newest.find(search))
        callers = self.alias(bare_number=strip_column("caller_id_number"))
        return callers.filter(or_(found, search.get_condition()))

    def find(self: Any, search: MessageSearch) -> list[UUID]:
        """Return the UUIDs of the messages that match. All of them are read."""
        sealed = self.model.ENCRYPTED if search.in_transcriptions else ()
        # With its mailbox, which Django would read for each row of a mailbox's messages.
        fields = ["uuid", "mailbox", "caller_id_name", "caller_id_number", *sealed]
        rows: Any = self
        if search.as_shown:
            rows, fields = rows.select_related("mailbox"), [*fields, "mailbox__name"]
        return [row.pk for row in rows.only(*fields).iterator() if search.matches(row)]
