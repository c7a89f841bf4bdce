"""Asked at load: whether the service has the columns. `POST …/require`, answered `0`."""

from tests.engines.engine import Asterisk


def test_it_has_them(asterisk):
    answer = asterisk.ask("require", "uniqueid=uinteger3%3A11&password=char%3A10")
    assert (answer.status, answer.body) == (200, b"0")


def test_a_stranger_is_told_nothing(db):
    answer = Asterisk().ask("require", "uniqueid=uinteger3%3A11&password=char%3A10")
    assert (answer.status, answer.body) == (401, b"")
