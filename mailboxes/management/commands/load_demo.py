"""Fill an empty database with realistic data."""

import gc
from argparse import ArgumentTypeError
from itertools import chain, islice
from operator import attrgetter

from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone
from tqdm import tqdm

from mailboxes.audio import speech
from mailboxes.audio.decoder import decoder
from mailboxes.demo import Demo, history_row
from mailboxes.demo_calls import GREETINGS, make_calls
from mailboxes.models import Account, Batch, EmailRecipient, Mailbox, Sound
from mailboxes.models.accounts import AccountFullError

BATCH = 500
USER = "demo"  # the author of the data; `run` makes it a login
MAILBOXES_WITH_MESSAGES = 4


def positive_number(text):
    if not (text.isdecimal() and int(text)):
        raise ArgumentTypeError(f"{text} is not a whole number, 1 or more.")
    return int(text)


class Command(BaseCommand):
    help = "Fill an empty database with realistic accounts and mailboxes, for trials."

    def add_arguments(self, parser):
        parser.add_argument(
            "--accounts", type=positive_number, default=12, metavar="N", help="number of accounts"
        )
        parser.add_argument(
            "--mailboxes",
            type=positive_number,
            default=200,
            metavar="N",
            help="number of mailboxes",
        )
        parser.add_argument(
            "--seed", type=int, default=1, metavar="N", help="the same seed gives the same data"
        )

    # BaseCommand prints what is returned after the commit.
    @transaction.atomic
    def handle(self, *args, accounts, mailboxes, seed, **options) -> str:
        if Account.objects.exists():
            raise CommandError(
                "This database has accounts already: load the demo into an empty one."
            )
        gc.freeze()  # garbage collections then skip Django's objects, which saves a tenth of the time
        demo = Demo(seed, find_user())
        tree = demo.accounts(accounts)
        for account in tree:
            account.save()  # one by one: a customer needs its reseller's key
        if speech.is_available():
            add_greetings(tree[0], demo)
        stream = demo.mailboxes(tree, mailboxes)
        recipients = 0
        try:
            with tqdm(total=mailboxes, unit=" mailboxes", disable=None) as progress:
                while batch := list(islice(stream, BATCH)):
                    recipients += save_batch(batch, demo.user)
                    progress.update(len(batch))
        except AccountFullError as error:
            raise CommandError(f"{error.message} Use more --accounts.") from None
        deletions = sorted(demo.deletions, key=attrgetter("made_at"))
        for number, deletion in enumerate(deletions, Batch.objects.count() + 1):
            deletion.number = number
        Batch.objects.bulk_create(deletions)
        messages = leave_messages(tree[0], seed)
        return f"Created {accounts} accounts, {mailboxes} mailboxes, {recipients} recipients, {messages}."


def leave_messages(account, seed) -> str:
    """Leave spoken messages in some of the account's mailboxes. Return a text for the output."""
    if not speech.is_available():
        return "no greetings and messages, since the speech for them needs: pip install '.[voices]'"
    active = account.mailboxes.active()
    half = MAILBOXES_WITH_MESSAGES // 2
    mailboxes = [*active.filter(transcribe=True)[:half], *active.filter(transcribe=False)[:half]]
    calls = make_calls(mailboxes, timezone.now(), seed) if mailboxes else []
    for call in calls:
        call.leave(decoder.decode(speech.speak(call.text, call.voice)))
    return f"{account.sounds.count()} greetings, {len(calls)} messages"


def add_greetings(account, demo) -> None:
    """Add spoken greetings, which mailboxes of the account and its customers will use."""
    for name, (voice, text) in GREETINGS.items():
        greeting = decoder.decode_greeting(speech.speak(text, voice))
        spoken = {"text": text, "voice": voice}
        demo.greetings.append(demo.uuid())
        Sound.create(account, greeting, uuid=demo.greetings[-1], name=name, shared=True, **spoken)
    Sound.history.update(history_user=demo.user)


def find_user():
    """Return the staff user of the demo. A new one cannot sign in."""
    fields = {"is_staff": True, "is_active": False, "password": make_password(None)}
    return get_user_model().objects.get_or_create(username=USER, defaults=fields)[0]


def save_batch(batch, user) -> int:
    mailboxes, recipients, history = zip(*batch, strict=True)
    recipients = tuple(chain(*recipients))
    Mailbox.objects.bulk_create(mailboxes)
    Mailbox.history.bulk_create(chain(*history))
    EmailRecipient.objects.bulk_create(recipients)
    EmailRecipient.history.bulk_create(
        # The first recipient was added to version 1.
        history_row(recipient, "+", version=recipient.position + 1, history_user=user)
        for recipient in recipients
    )
    return len(recipients)
