"""The check of columns when Asterisk loads: `POST …/require`, answered `0`."""

from tests.engines.engine import Asterisk


def test_required_columns_exist(asterisk):
    answer = asterisk.send_form("require", "uniqueid=uinteger3%3A11&password=char%3A10")
    assert (answer.status, answer.body) == (200, b"0")


def test_call_without_a_credential_is_refused(db):
    answer = Asterisk().send_form("require", "uniqueid=uinteger3%3A11&password=char%3A10")
    assert (answer.status, answer.body) == (401, b"")
