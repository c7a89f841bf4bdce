import base64
import secrets

import pytest

from mailboxes.encryption import KeyRing, UnknownKeyError
from tests.service import shows

OLD, NEW = (base64.b64encode(secrets.token_bytes(32)).decode() for _ in range(2))


def test_what_is_sealed_opens_again():
    ring = KeyRing.parse(OLD)
    assert ring.decrypt(ring.encrypt("0007", b"owner"), b"owner") == "0007"


def test_the_same_text_is_sealed_differently_each_time():
    ring = KeyRing.parse(OLD)
    assert ring.encrypt("0007", b"owner") != ring.encrypt("0007", b"owner")


def test_it_opens_for_no_other_owner():
    ring = KeyRing.parse(OLD)
    with pytest.raises(UnknownKeyError):
        ring.decrypt(ring.encrypt("0007", b"owner"), b"thief")


def test_a_new_key_listed_first_seals_and_the_old_one_still_opens():
    sealed = KeyRing.parse(OLD).encrypt("0007", b"owner")
    ring = KeyRing.parse(f"{NEW},{OLD}")
    assert ring.decrypt(sealed, b"owner") == "0007"
    assert ring.encrypt("0007", b"owner").startswith(ring.current)
    assert not sealed.startswith(ring.current)


def test_a_key_that_is_gone_opens_nothing_and_tells_nothing():
    sealed = KeyRing.parse(OLD).encrypt("0007", b"owner")
    with pytest.raises(UnknownKeyError, match="PASS_CODE_KEYS") as refusal:
        KeyRing.parse(NEW).decrypt(sealed, b"owner")
    assert not shows(refusal.value, "0007")


def test_what_was_altered_does_not_open():
    ring = KeyRing.parse(OLD)
    sealed = ring.encrypt("0007", b"owner")
    altered = sealed[:-6] + ("A" if sealed[-6] != "A" else "B") + sealed[-5:]
    with pytest.raises(UnknownKeyError):
        ring.decrypt(altered, b"owner")


@pytest.mark.parametrize("rest", ["", "x", "AAAA", "0007"])
def test_what_was_never_sealed_does_not_open(rest):
    ring = KeyRing.parse(OLD)
    with pytest.raises(UnknownKeyError):
        ring.decrypt(f"{ring.current}:{rest}", b"owner")


@pytest.mark.parametrize(
    "text",
    ["", "short", base64.b64encode(bytes(31)).decode(), OLD + ",", "é"],
    ids=["none", "no base64", "31 bytes", "an empty one", "not ASCII"],
)
def test_wrong_keys_are_refused(text):
    with pytest.raises(ValueError, match=r"32 bytes|base64|ASCII|padding"):
        KeyRing.parse(text)
