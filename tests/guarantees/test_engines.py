"""A telephone engine's credential reads and changes only mailboxes of its account's tree."""

from itertools import count
from random import Random

import pytest

from mailboxes.models import Account, Mailbox
from tests.engines.engine import Asterisk, FreeSWITCH, engine_headers, parse_columns

ACCOUNTS = 7
numbers = count()


class Forest:
    """Random trees of accounts with mailboxes, some of them suspended or deleted."""

    def __init__(self, random):
        self.random, self.accounts, self.mailboxes = random, [], []
        for _ in range(ACCOUNTS):
            self.add_account()

    def add_account(self):
        account = Account.objects.create(
            name=f"account-{next(numbers)}",
            reseller=self.random.choice([None, *self.accounts]),
            is_active=self.random.random() > 0.2,
        )
        self.accounts.append(account)
        for _ in range(2):
            mailbox = Mailbox.objects.create(account=account, name=account.name, password="4829")
            self.mailboxes.append(mailbox)
            if self.random.random() < 0.2:
                mailbox.soft_delete()


def may_read(reader, mailbox) -> bool:
    """Return True if the reader is the mailbox's account or above it, and both are active.

    Suspended accounts between the two do not matter. A credential of no account reads all of them.
    """
    accounts, account = [], mailbox.account
    while account:
        accounts.append(account)
        account = account.reseller
    is_reachable = not mailbox.is_deleted and mailbox.account.is_active
    if reader is None:
        return is_reachable
    return is_reachable and reader.is_active and reader in accounts


def compare_answers(forest, reader):
    """Yield for each mailbox and each kind of request True if the engine got a wrong answer."""
    headers = engine_headers(reader, name=f"pbx-{next(numbers)}")
    asterisk, freeswitch = Asterisk(headers), FreeSWITCH(headers)
    for mailbox in forest.mailboxes:
        context, may = mailbox.account.name, may_read(reader, mailbox)
        listed = [
            parse_columns(line)["mailbox"] for line in asterisk.multi(context).body.splitlines()
        ]
        yield (str(mailbox.pk) in listed) != may
        yield bool(asterisk.single(mailbox.pk, context).body) != may
        yield bool(asterisk.send_form("single", f"mailbox={mailbox.pk}").body) != may
        yield (b"<user " in freeswitch.look_up(mailbox.pk, context).body) != may
        code = f"{forest.random.randrange(10_000):04}"
        before = Mailbox.objects.get(pk=mailbox.pk).password
        answer = asterisk.update(mailbox.pk, context, code).body
        after = Mailbox.objects.get(pk=mailbox.pk).password
        yield (answer, after) != ((b"1", code) if may else (b"0", before))


@pytest.mark.long
@pytest.mark.django_db
def test_engine_reads_and_changes_only_its_tree(size, promise):
    errors = []
    for seed in range(size(2, 60)):
        forest = Forest(Random(seed))
        for reader in [None, *forest.accounts]:
            errors += compare_answers(forest, reader)
    promise(
        "An engine reads and changes only mailboxes of its account's tree",
        f"{len(errors):,} requests of engines in random trees of accounts",
        sum(errors),
    )
