"""Encryption of pass codes, and its keys."""

import base64
import secrets

import pytest

from mailboxes.encryption import KeyRing, UnknownKeyError
from tests.service import shows

OLD, NEW = (base64.b64encode(secrets.token_bytes(32)).decode() for _ in range(2))


def test_encrypted_text_is_decrypted():
    ring = KeyRing.parse(OLD)
    assert ring.decrypt(ring.encrypt("0007", b"owner"), b"owner") == "0007"


def test_same_text_is_encrypted_differently_each_time():
    ring = KeyRing.parse(OLD)
    assert ring.encrypt("0007", b"owner") != ring.encrypt("0007", b"owner")


def test_text_encrypted_for_another_owner_is_refused():
    ring = KeyRing.parse(OLD)
    with pytest.raises(UnknownKeyError):
        ring.decrypt(ring.encrypt("0007", b"owner"), b"thief")


def test_first_key_encrypts_and_an_older_one_still_decrypts():
    encrypted = KeyRing.parse(OLD).encrypt("0007", b"owner")
    ring = KeyRing.parse(f"{NEW},{OLD}")
    assert ring.decrypt(encrypted, b"owner") == "0007"
    assert ring.encrypt("0007", b"owner").startswith(ring.current)
    assert not encrypted.startswith(ring.current)


def test_reencrypted_text_keeps_its_nonce():
    encrypted = KeyRing.parse(OLD).encrypt("0007", b"owner")
    ring = KeyRing.parse(f"{NEW},{OLD}")
    reencrypted = ring.reencrypt(encrypted, b"owner")
    assert KeyRing.parse(NEW).decrypt(reencrypted, b"owner") == "0007"
    assert KeyRing.get_nonce(reencrypted) == KeyRing.get_nonce(encrypted)
    assert KeyRing.get_nonce(ring.encrypt("0007", b"owner")) != KeyRing.get_nonce(encrypted)


def test_error_for_a_missing_key_does_not_contain_the_text():
    encrypted = KeyRing.parse(OLD).encrypt("0007", b"owner")
    with pytest.raises(UnknownKeyError, match="PASS_CODE_KEYS") as refusal:
        KeyRing.parse(NEW).decrypt(encrypted, b"owner")
    assert not shows(refusal.value, "0007")


def test_changed_text_is_refused():
    ring = KeyRing.parse(OLD)
    encrypted = ring.encrypt("0007", b"owner")
    changed = encrypted[:-6] + ("A" if encrypted[-6] != "A" else "B") + encrypted[-5:]
    with pytest.raises(UnknownKeyError):
        ring.decrypt(changed, b"owner")


@pytest.mark.parametrize("rest", ["", "x", "AAAA", "0007"])
def test_text_that_was_never_encrypted_is_refused(rest):
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
