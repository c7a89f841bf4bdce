"""Rules for single fields, shared by models, API, forms and commands."""

import re
import secrets
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from itertools import pairwise
from urllib.parse import urlsplit
from uuid import UUID

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from mailboxes.contract import MASK, UUID_TEXT

# \A and \Z mean the same in Python and in PostgreSQL; $ does not.
ACCOUNT_NAME_TEXT = "[a-z0-9._-]{3,64}"
ACCOUNT_NAME = rf"\A{ACCOUNT_NAME_TEXT}\Z"
CREDENTIAL_NAME = r"\A[A-Za-z0-9._@+-]{1,64}\Z"
PASS_CODE = re.compile(r"\A[0-9]{4}\Z")

# "Ann Smith <ann@example.com>", as mail programs copy an address.
NAMED_ADDRESS = re.compile(r"\A[^<>]*<\s*([^<>\s]+)\s*>\Z")
MAX_DOMAIN_LENGTH = 253  # characters (RFC 1035, 2.3.4)
# A part of a domain is too long if it has over 63 characters; "\u3002" is a dot in IDNA.
TOO_LONG_LABEL = re.compile(r"[^.\u3002]{64}")
MAX_NETWORKS_LENGTH = 5000  # characters
# Only these IPv6 addresses are assigned (RFC 4291, 2.4). Those of 6to4 contain one of IPv4.
PUBLIC_IPV6, SIX_TO_FOUR = ip_network("2000::/3"), ip_network("2002::/16")
# The two versions of IDNA convert these differently, to domains that may have different owners.
AMBIGUOUS_IN_DOMAINS = {*"ßς\u200c\u200d"}

# The most used codes that are not a repeat, run or year (DataGenetics, "PIN analysis", 2012).
MOST_USED_PASS_CODES = {"1004", "1010", "1122", "1313", "2001", "2580", "6969", "0852", "5683"}

# Characters that show nothing, for a class of a regular expression: Unicode's
# Default_Ignorable_Code_Point, annotation marks, and the Braille pattern without dots.
INVISIBLE = (
    r"\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e"
    r"\u2060-\u206f\u2800\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb"
)
# Those above U+FFFF are apart: not every program that reads our schema can have them in a class.
RARE_INVISIBLE = r"\U0001bca0-\U0001bca3\U0001d159\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
BLANK = re.compile(rf"[\s{INVISIBLE}{RARE_INVISIBLE}]*\Z")

validate_account_name = RegexValidator(
    ACCOUNT_NAME, _("Use 3 to 64 lower-case letters, digits, hyphens, underscores or dots.")
)
validate_credential_name = RegexValidator(
    CREDENTIAL_NAME, _("Use 1 to 64 letters, digits or any of . _ @ + - (no spaces).")
)


def validate_printable(value: str) -> None:
    """Refuse control characters (Cc), lone surrogates (Cs), and text that shows nothing."""
    categories = {unicodedata.category(character) for character in value}
    if "Cc" in categories:
        raise ValidationError(_("Leave out control characters."), code="control_character")
    if "Cs" in categories:
        raise ValidationError(_("Leave out lone surrogates."), code="surrogate")
    if BLANK.match(value):
        raise ValidationError(_("Use at least one visible character."), code="blank")


def is_pass_code(value: str) -> bool:
    return PASS_CODE.match(value) is not None


def validate_four_digits(value: str) -> None:
    """Refuse what is no pass code. The error says why, but does not repeat the text."""
    if not is_pass_code(value):
        rule = gettext("Use four digits, 0000 to 9999.")
        raise ValidationError(f"{rule} {describe_wrong_digits(value)}".rstrip(), code="invalid")


def describe_wrong_digits(value: str) -> str:
    if not value:
        return ""
    if value == MASK:
        return gettext("These dots only stand for a pass code.")
    if any(map(str.isalpha, value)):
        return gettext("This has letters.")
    if not re.fullmatch("[0-9]+", value):
        return gettext("This has other characters than the digits 0 to 9.")
    count = len(value)
    return ngettext("This has %(count)s digit.", "This has %(count)s digits.", count) % {
        "count": count
    }


def is_uuid(value: str) -> bool:
    return bool(re.fullmatch(UUID_TEXT, value))


def parse_uuid(value: str) -> UUID:
    """Parse a UUID in the 8-4-4-4-12 form, either case. Raises ValidationError.

    Python alone accepts braces and `urn:` too.
    """
    if not is_uuid(value):
        raise ValidationError(
            _("Use a UUID, such as 63e54af8-07b5-4fd2-b15b-f4c31a82ca0b."), code="invalid"
        )
    return UUID(value)


def find_weakness(code: str) -> str | None:
    """Return why the pass code is easy to guess, in a sentence without the code, or None."""
    steps = {(int(right) - int(left)) % 10 for left, right in pairwise(code)}
    if steps == {0}:
        return gettext("It is easy to guess: it repeats one digit.")
    if steps in ({1}, {9}):
        return gettext("It is easy to guess: its digits count up or down.")
    if code[:2] == code[2:]:
        return gettext("It is easy to guess: it repeats two digits.")
    if "1900" <= code <= "2099":
        return gettext("It is easy to guess: it looks like a year.")
    if code in MOST_USED_PASS_CODES:
        return gettext("It is easy to guess: it is one of the most used.")
    return None


def is_weak_pass_code(code: str) -> bool:
    return find_weakness(code) is not None


def refuse_weak_pass_code(code: str) -> None:
    if weakness := find_weakness(code):
        raise ValidationError(weakness, code="weak")


def make_pass_code() -> str:
    while is_weak_pass_code(code := f"{secrets.randbelow(10_000):04}"):
        pass
    return code


def validate_ascii(value: str) -> None:
    """Refuse an address with non-ASCII letters, whose case each database folds in its own way.

    Control characters are refused too: EmailValidator accepts some of them between quotes.
    """
    validate_printable(value)
    if not value.isascii():
        raise ValidationError(
            _("Use an address in ASCII; write an international domain in its xn-- form."),
            code="not_ascii",
        )


def normalize_address(value: str) -> str:
    """Return the address without a name before it, and with its domain in ASCII.

    A text that is no address is returned as it is, for the validators to refuse.
    """
    address = NAMED_ADDRESS.sub(r"\1", value.strip())
    user, at, domain = address.rpartition("@")
    # IDNA takes minutes for a domain of a megabyte, and no other thread runs meanwhile.
    if domain.isascii() or len(domain) > MAX_DOMAIN_LENGTH:
        return address
    if not AMBIGUOUS_IN_DOMAINS.isdisjoint(domain):
        return address
    # It takes long for a long part, too. One character may stand for 18.
    if TOO_LONG_LABEL.search(unicodedata.normalize("NFKC", domain)):
        return address
    try:
        return f"{user}{at}{domain.encode('idna').decode()}"
    except UnicodeError:
        return address


@lru_cache(maxsize=1000)  # each API call needs those of its credential
def parse_networks(value: str) -> list:
    """Parse networks separated by commas or white space. Raises ValidationError."""
    networks = []
    for word in value.replace(",", " ").split():
        try:
            networks.append(ip_network(word))
        except ValueError:
            raise ValidationError(
                _(
                    "“%(word)s” is not a network: write each as 192.0.2.0/24, 2001:db8::/32 or 192.0.2.1."
                ),
                code="invalid",
                params={"word": word},
            ) from None
    return networks


def validate_networks(value: str) -> None:
    """Refuse a long text, because the networks of many credentials stay in memory."""
    if len(value) > MAX_NETWORKS_LENGTH:
        raise ValidationError(
            _("Use at most %(most)s characters."),
            code="limit",
            params={"most": f"{MAX_NETWORKS_LENGTH:,}"},
        )
    parse_networks(value)


def is_allowed_address(address: str, networks: Iterable[IPv4Network | IPv6Network] = ()) -> bool:
    """Return True if the IP address is in one of these networks, or public.

    IPv6 addresses that contain an IPv4 address are not public, even if that one is.
    """
    ip = ip_address(address)
    if any(ip in network for network in networks):
        return True
    if ip.version == 6 and (ip not in PUBLIC_IPV6 or ip in SIX_TO_FOUR):
        return False
    return ip.is_global and not ip.is_multicast


def validate_webhook_url(url: str) -> None:
    """Refuse an address that no webhook may have.

    A host name is checked when an event is sent, because its IP address may change.
    """
    schemes = ["https"] if settings.HTTPS else ["https", "http"]
    try:
        parts = urlsplit(url)
        host, _port = parts.hostname or "", parts.port
    except ValueError:
        host = ""
    if not re.fullmatch(r"[!-~]+", url) or not host or "\\" in url:
        raise ValidationError(
            _("Use an address such as https://example.com/path, in ASCII."), code="invalid"
        )
    if parts.scheme not in schemes:
        raise ValidationError(_("Use an address that begins with https://."), code="scheme")
    if "@" in parts.netloc or parts.fragment:
        raise ValidationError(
            _("Leave out user, password and fragment: signatures show who sent an event."),
            code="invalid",
        )
    try:
        allowed = is_allowed_address(host, settings.WEBHOOK_NETWORKS)
    except ValueError:  # a name
        return
    if not allowed:
        raise ValidationError(
            _("This address is in a private network, which webhooks do not reach."), code="private"
        )
