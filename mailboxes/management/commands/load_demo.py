"""Fills an empty database with believable data."""

import gc
from argparse import ArgumentTypeError
from itertools import chain, islice

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from tqdm import tqdm

from mailboxes.demo import Demo, state
from mailboxes.models import Account, EmailRecipient, Mailbox

BATCH = 500


def size(text):
    if not (text.isdecimal() and int(text)):
        raise ArgumentTypeError(f"{text} is not a whole number, 1 or more.")
    return int(text)


class Command(BaseCommand):
    help = "Fill an empty database with believable accounts and mailboxes, to try things out on."

    def add_arguments(self, parser):
        parser.add_argument(
            "--accounts", type=size, default=12, metavar="N", help="how many accounts"
        )
        parser.add_argument(
            "--mailboxes", type=size, default=200, metavar="N", help="how many mailboxes"
        )
        parser.add_argument(
            "--seed", type=int, default=1, metavar="N", help="the same number, the same data"
        )

    # Returned, so that BaseCommand prints it once all is committed.
    @transaction.atomic
    def handle(self, *args, accounts, mailboxes, seed, **options) -> str:
        if Account.objects.exists():
            raise CommandError(
                "This database has accounts already: load the demo into an empty one."
            )
        # Collections of garbage then pass over Django itself: a tenth of the time.
        gc.freeze()
        demo = Demo(seed)
        made = demo.accounts(accounts)
        for account in made:
            account.save()  # one by one: a customer needs its reseller's key
        stream = demo.mailboxes(made, mailboxes)
        recipients = 0
        with tqdm(total=mailboxes, unit=" mailboxes", disable=None) as progress:
            while batch := list(islice(stream, BATCH)):
                recipients += save(batch)
                progress.update(len(batch))
        return f"Made {accounts} accounts, {mailboxes} mailboxes, {recipients} recipients."


def save(batch) -> int:
    """Save mailboxes with what belongs to them; say how many recipients they have."""
    mailboxes, recipients, history = zip(*batch, strict=True)
    recipients = tuple(chain(*recipients))
    Mailbox.objects.bulk_create(mailboxes)
    Mailbox.history.bulk_create(chain(*history))
    EmailRecipient.objects.bulk_create(recipients)
    EmailRecipient.history.bulk_create(state(recipient, "+") for recipient in recipients)
    return len(recipients)
