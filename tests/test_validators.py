"""Rules for single fields."""

import time

import pytest
from django.core.exceptions import ValidationError

from mailboxes import validators


@pytest.mark.parametrize("name", ["abc", "a-b_c.9", "x" * 64, "..."])
def test_valid_account_name_is_accepted(name):
    validators.validate_account_name(name)


@pytest.mark.parametrize("name", ["ab", "x" * 65, "Abc", "a b", "abc\n", "abç", "a/b", ""])
def test_invalid_account_name_is_refused(name):
    with pytest.raises(ValidationError):
        validators.validate_account_name(name)


@pytest.mark.parametrize("code", ["0000", "0007", "9999"])
def test_valid_pass_code_is_accepted(code):
    validators.validate_four_digits(code)


@pytest.mark.parametrize("code", ["", "123", "12345", "1234\n", " 123", "12.4", "١٢٣٤", "-123"])
def test_invalid_pass_code_is_refused(code):
    with pytest.raises(ValidationError):
        validators.validate_four_digits(code)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("123", "This has 3 digits."),
        ("7", "This has 1 digit."),
        ("12a4", "This has letters."),
        ("12.4", "This has other characters than the digits 0 to 9."),
        ("••••", "These dots only stand for a pass code."),
        ("", ""),
    ],
)
def test_invalid_pass_code_is_explained_without_it(text, reason):
    with pytest.raises(ValidationError) as error:
        validators.validate_four_digits(text)
    assert error.value.messages == [f"Use four digits, 0000 to 9999. {reason}".strip()]


@pytest.mark.parametrize(
    "code", ["1234", "4321", "0000", "7777", "9012", "1212", "1984", "2025", "2580", "1004"]
)
def test_weak_pass_code_is_found(code):
    assert validators.is_weak_pass_code(code)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("7777", "it repeats one digit"),
        ("1234", "its digits count up or down"),
        ("2109", "its digits count up or down"),
        ("4848", "it repeats two digits"),
        ("1984", "it looks like a year"),
        ("2580", "it is one of the most used"),
    ],
)
def test_weakness_is_explained_without_the_pass_code(code, reason):
    assert validators.find_weakness(code) == f"It is easy to guess: {reason}."


@pytest.mark.parametrize("code", ["4829", "7302", "1355", "8461", "0931"])
def test_good_pass_code_is_not_weak(code):
    assert not validators.is_weak_pass_code(code)


@pytest.mark.parametrize("text", ["a\x00", "a\n", "\x7f", "\x85", "\ud800"])
def test_control_characters_and_lone_surrogates_are_refused(text):
    with pytest.raises(ValidationError):
        validators.validate_printable(text)


@pytest.mark.parametrize(
    "code_point", [0x200B, 0xFEFF, 0x3164, 0xAD, 0x2060, 0x2800, 0xFFA0, 0xFE0F, 0xE0041]
)
def test_text_that_shows_nothing_is_blank(code_point):
    for text in (chr(code_point), f" {chr(code_point)} \u3000{chr(code_point)}"):
        with pytest.raises(ValidationError) as caught:
            validators.validate_printable(text)
        assert caught.value.code == "blank"
    validators.validate_printable(f"{chr(code_point)}A")


@pytest.mark.parametrize("text", ["A", "👩‍👩‍👧", "نامه‌ای", "東京", "-", "\U0001fae9"])
def test_text_with_a_visible_character_is_accepted(text):
    validators.validate_printable(text)


@pytest.mark.parametrize(
    "address", ['"a\x0bb"@acme.example', '"a\x1bb"@acme.example', "ü@x.example"]
)
def test_address_with_other_characters_than_printable_ascii_is_refused(address):
    with pytest.raises(ValidationError):
        validators.validate_ascii(address)


def test_overlong_domain_is_returned_at_once():
    address = "a@" + "\u0301\u0323" * 40_000 + ".example"
    start = time.perf_counter()
    assert validators.normalize_address(address) == address
    assert time.perf_counter() - start < 1


@pytest.mark.long
@pytest.mark.parametrize(
    "label", ["\ufdfa" * 63, "\u4e00" * 200 + "\u9fa5" * 50], ids=["expanding", "long"]
)
def test_domain_with_an_overlong_part_is_returned_at_once(label):
    """The first is one of 1,134 characters in IDNA."""
    address = f"a@{label}.cc"
    start = time.perf_counter()
    assert {validators.normalize_address(address) for _ in range(2000)} == {address}
    assert time.perf_counter() - start < 1


def test_long_networks_are_refused():
    with pytest.raises(ValidationError, match="Use at most 5,000 characters"):
        validators.validate_networks("192.0.2.1, " * 500)
    validators.validate_networks("192.0.2.1, " * 400)


def test_networks_are_parsed_from_a_text():
    networks = validators.parse_networks("192.0.2.0/24, 2001:db8::/32\n198.51.100.7")
    assert [str(network) for network in networks] == [
        "192.0.2.0/24",
        "2001:db8::/32",
        "198.51.100.7/32",
    ]


@pytest.mark.parametrize("text", ["192.0.2.0/33", "192.0.2.1/24", "localhost", "10.0.0"])
def test_invalid_network_is_named(text):
    with pytest.raises(ValidationError, match=text):
        validators.validate_networks(f"10.0.0.0/8, {text}")


@pytest.mark.parametrize("https", [True, False])
def test_webhook_may_have_http_only_if_https_is_off(settings, https):
    settings.HTTPS = https
    validators.validate_webhook_url("https://example.com/")
    if not https:
        validators.validate_webhook_url("http://example.com/")
        return
    with pytest.raises(ValidationError) as refused:
        validators.validate_webhook_url("http://example.com/")
    assert refused.value.code == "scheme"
