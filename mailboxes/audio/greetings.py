"""Greetings in the two forms that are kept."""

from typing import NamedTuple

from mailboxes.audio.recordings import Recording


class Greeting(NamedTuple):
    """The same audio for browsers, at the rate it came in, and for telephones, at 8 kHz."""

    original: Recording
    telephone: Recording
