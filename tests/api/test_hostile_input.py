"""Hostile input gets an answer in the envelope, never 500 or HTML, and changes nothing."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailboxes.models import Mailbox

pytestmark = pytest.mark.django_db

VALUES = [
    None,
    True,
    0,
    -1,
    1e308,
    2**63,
    10**400,
    "",
    " ",
    "\x00",
    "a\x00b",
    "\u202e",
    "x" * 10_000,
    "'; DROP TABLE mailboxes_mailbox; --",
    "{{ 7*7 }}",
    "<script>alert(1)</script>",
    [],
    [[]],
    {},
    {"$gt": ""},
    {"code": "x"},
]
FIELDS = ["name", "password", "greeting", "beep", "play_caller_id", "play_timestamp", "transcribe"]
BODIES = {
    "20,000 nested brackets": "[" * 20_000,
    "20,000 closed brackets": "[" * 20_000 + "]" * 20_000,
    "20,000 nested objects": '{"name":' * 20_000,
    "a lone surrogate": '{"name": "\\ud800"}',
    "a lone trailing surrogate": '{"name": "a\\udfff"}',
    "NaN": '{"name": NaN}',
    "Infinity": '{"name": "x", "beep": Infinity}',
    "a comment": '{"name": "x" /* y */}',
    "broken UTF-8": b'{"name": "\xff\xfe"}',
    "an overlong form": b'{"name": "\xc0\xaf"}',
    "a surrogate in UTF-8": b'{"name": "\xed\xa0\x80"}',
    "UTF-16": '{"name": "x"}'.encode("utf-16"),
    "NUL bytes": b"\x00" * 1000,
    "an array": '[{"name": "x"}]',
    "a huge number": '{"name": ' + "9" * 100_000 + "}",
}


def assert_refused(answer):
    assert answer.status in (400, 413)
    assert answer.json["result"] == {}
    assert not Mailbox.objects.exists()


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_invalid_json_is_refused(wire, body):
    assert_refused(wire.post("/voip/mailbox", body, headers={"Content-Type": "application/json"}))
    assert wire.get("/voip/mailbox").result == []


def test_last_of_two_equal_json_keys_wins(service):
    assert service.post("/voip/mailbox", '{"name": "a", "name": "b"}').result["name"] == "b"


@pytest.mark.parametrize("field", FIELDS)
@pytest.mark.parametrize("value", VALUES, ids=lambda value: repr(value)[:20])
def test_hostile_value_in_any_field_causes_no_error(service, field, value):
    answer = service.post("/voip/mailbox", json.dumps({"name": "x"} | {field: value}))
    assert answer.status in (201, 400)
    if answer.status == 400:
        assert_refused(answer)


@settings(
    max_examples=150, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    body=st.dictionaries(
        st.sampled_from([*FIELDS, "uuid", "email_recipients"]) | st.text(max_size=5),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=110),
            lambda inner: (
                st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
            ),
            max_leaves=5,
        ),
    )
)
def test_random_object_causes_no_error(service, body):
    answer = service.post("/voip/mailbox", json.dumps(body).encode("utf-8", "replace"))
    assert answer.status in (201, 400)
    assert answer.json["status_code"] == answer.status


@pytest.mark.parametrize(
    "header", ["X-Auth-Reseller", "X-Auth-User", "X-Auth-Password", "X-Auth-For"]
)
@pytest.mark.parametrize(
    "value", ["é", "\xff\xfe", "\xa0", "\x85", "x" * 7000, "a,b", "'; --", "%00", "\t"]
)
def test_hostile_header_values_are_refused(wire, header, value):
    answer = wire.get("/voip/mailbox", headers={header: value.encode("latin-1").decode("latin-1")})
    is_empty = header == "X-Auth-For" and not value.strip(" \t")
    assert answer.status == (200 if is_empty else 403 if header == "X-Auth-For" else 401)
    assert answer.json["status_code"] == answer.status


@pytest.mark.parametrize(
    "path", ["/voip/mailbox/%00", "/voip/%FF", "/voip/%2e%2e/admin", "/voip/" + "x" * 5000]
)
def test_hostile_paths_are_not_found(wire, path):
    answer = wire.get(path)
    assert (answer.status, answer.json["result"]) == (404, {})
