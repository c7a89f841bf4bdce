"""Calls for demo data: what callers hear, who they are, and what they say."""

from datetime import datetime, timedelta
from random import Random
from typing import NamedTuple
from uuid import UUID

from mailboxes.models import Mailbox, Message

MINUTES = 6 * 24 * 60  # within which the calls were received

ENGLISH, GERMAN = ["en", "en+f3", "en-us+m3", "en-us+f4"], ["de", "de+f3", "de+m3"]
SPOKEN = [
    (
        ENGLISH,
        "Hello, this is Fiona Grant. I would like to move my appointment from Tuesday to Thursday "
        "morning. Please ring me back when you have a minute. Thank you, goodbye.",
    ),
    (
        GERMAN,
        "Guten Tag, hier spricht Jürgen Weiß. Die Lieferung ist heute angekommen, aber zwei Kisten "
        "fehlen. Bitte rufen Sie mich zurück, am besten vor fünf Uhr. Vielen Dank.",
    ),
    (
        ENGLISH,
        "Hi, it's Liam. The lift on the second floor has stopped again, and I can hear the alarm. "
        "Could somebody have a look at it today?",
    ),
    (ENGLISH, "Hello? I think I have the wrong number. Sorry."),
    (
        GERMAN,
        "Hallo, hier ist Hannah Bauer. Ich wollte nur sagen, dass die Rechnung bezahlt ist. "
        "Auf Wiederhören.",
    ),
    (
        ENGLISH,
        "Good morning, this is a message for the front desk. A grey coat was left in the meeting "
        "room yesterday. We keep it until Friday.",
    ),
    (
        ENGLISH,
        "This is Priya Patel from Hughes Logistics. Our driver will be at your warehouse between "
        "nine and ten tomorrow. If that is too early, please call us on this number.",
    ),
    (
        GERMAN,
        "Guten Abend. Ich möchte für Samstag einen Tisch für vier Personen bestellen, um halb acht. "
        "Mein Name ist Schneider.",
    ),
    (
        ENGLISH,
        "Hi there, I found your advertisement and have a question about the price. I will try again "
        "later this week.",
    ),
]
CALLERS = [
    ("Fiona Grant", "+442079460112"),
    ("Jürgen Weiß", "+493023125014"),
    ("Liam Hughes", "+442079460845"),
    ("", "+12025550143"),
    ("Hannah Bauer", "+493023125077"),
    ("Reception", "201"),
    ("Hughes Logistics", "+441632960733"),
    ("", "+498999998321"),
    ("", ""),  # withheld
]
GREETINGS = {
    "Welcome": (
        "en+f3",
        "Hello, and thank you for calling. Nobody can take your call right now. Please leave your "
        "name and number after the tone, and we will ring you back.",
    ),
    "Office closed": (
        "en",
        "Our office is closed. It opens again at nine o'clock on the next working day. Please leave "
        "a message after the tone.",
    ),
}
HEARD = 0.4


class DemoCall(NamedTuple):
    """A call to a mailbox: values of its message, and what happened to it later."""

    mailbox: Mailbox
    voice: str
    text: str
    values: dict
    is_transcribed: bool
    is_heard: bool
    is_deleted: bool

    def leave(self, recording) -> None:
        """Store the message with this recording."""
        message, _is_new = Message.receive(self.mailbox, recording, **self.values)
        if self.is_transcribed:
            message.transcription = self.text
            message.transcription_status = Message.Status.DONE
            message.save()
        message.mark_heard(self.is_heard)
        if self.is_deleted:
            message.soft_delete()


def make_calls(mailboxes: list[Mailbox], now: datetime, seed: int) -> list[DemoCall]:
    """Return calls to these mailboxes, oldest first. The first of them was deleted."""
    random = Random(seed)  # noqa: S311  not for secrets
    minutes = sorted(random.sample(range(5, MINUTES), len(SPOKEN)), reverse=True)
    return [
        DemoCall(
            mailbox=mailboxes[number % len(mailboxes)],
            voice=random.choice(voices),
            text=text,
            values={
                "uuid": UUID(int=random.getrandbits(128), version=4),
                "caller_id_name": name,
                "caller_id_number": caller,
                "received_at": now - timedelta(minutes=ago),
            },
            is_transcribed=mailboxes[number % len(mailboxes)].transcribe,
            is_heard=number > 0 and random.random() < HEARD,
            is_deleted=number == 0,
        )
        for number, ((voices, text), (name, caller), ago) in enumerate(
            zip(SPOKEN, CALLERS, minutes, strict=True)
        )
    ]
