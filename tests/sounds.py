"""Sounds for tests: tones as greetings."""

from mailboxes.audio.recordings import Greeting, Recording
from mailboxes.models import Account, Sound
from tests.recordings import make_samples


def make_greeting(seconds: float = 2, tone: int = 660) -> Greeting:
    forms = (
        Recording(rate, make_samples(seconds, rate, tone).tobytes()) for rate in (16_000, 8_000)
    )
    return Greeting(*forms)


def create_sound(account: Account, name: str = "Welcome", **values) -> Sound:
    return Sound.create(account, make_greeting(), name=name, **values)
