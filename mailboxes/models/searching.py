"""Searches for words in names, in any case, with or without accents."""

import unicodedata

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from mailboxes.contract import MAX_SEARCH_LENGTH, MAX_SEARCH_WORDS

# Letters that Unicode does not decompose.
LETTERS = str.maketrans(
    {"ø": "o", "đ": "d", "ð": "d", "ł": "l", "ħ": "h", "ı": "i", "æ": "ae", "œ": "oe", "þ": "th"}
)


def fold(text: str) -> str:
    """Return the text without case and accents: "Łódź" and "LODZ" both become "lodz"."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFKD", text)
    base = "".join(character for character in decomposed if not unicodedata.combining(character))
    return base.casefold().translate(LETTERS)


class FoldedField(models.TextField):
    """The folded text of a name that is not ASCII; empty otherwise. It is set at each save.

    `folded_name` belongs to `name`. The database can compare names in ASCII itself.
    """

    PREFIX = "folded_"

    def pre_save(self, instance, add):
        text = getattr(instance, self.attname.removeprefix(self.PREFIX))
        folded = "" if text.isascii() else fold(text)
        setattr(instance, self.attname, folded)
        return folded


def split_words(text: str) -> list[str]:
    """Return the words that a search must find. Raises ValidationError if they are too many."""
    words = text.replace("\0", "").split()  # PostgreSQL does not accept NUL
    if len(text) > MAX_SEARCH_LENGTH or len(words) > MAX_SEARCH_WORDS:
        raise ValidationError(
            _("Search for at most %(words)s words and %(length)s characters."),
            code="limit",
            params={"words": MAX_SEARCH_WORDS, "length": MAX_SEARCH_LENGTH},
        )
    return words


def validate_search(text: str) -> None:
    split_words(text)


def contains(name: str, word: str, relation: str = "") -> Q:
    """Match rows that have the word in the field `name`, which has a FoldedField.

    A related row has it if the relation is given, such as "mailbox__".
    """
    folded = fold(word) or word  # of accents alone nothing is left, which every name has
    found = Q(**{f"{relation}{name}__icontains": folded})
    found |= Q(**{f"{relation}{FoldedField.PREFIX}{name}__contains": folded})
    # An earlier version, which sets no folded names, may write while the service is upgraded.
    return found if word.isascii() else found | Q(**{f"{relation}{name}__icontains": word})
