"""No engine reads or changes a mailbox beyond its account's tree: trees at random, each mailbox asked for by each engine."""

from itertools import count
from random import Random

import pytest

from mailboxes.models import Account, Mailbox
from tests.engines.engine import Asterisk, FreeSWITCH, engine_headers, parse_columns

ACCOUNTS = 7
numbers = count()


class Forest:
    """Accounts below one another at random, some suspended, with mailboxes of which some are deleted."""

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

    @staticmethod
    def may_read(reader, mailbox) -> bool:
        """As the contract has it: the account itself or one below it, whoever is suspended between them."""
        above, account = [], mailbox.account
        while account:
            above.append(account)
            account = account.reseller
        can_be_called = not mailbox.is_deleted and mailbox.account.is_active
        if reader is None:
            return can_be_called
        return can_be_called and reader.is_active and reader in above


def wrong(forest, reader):
    """For each mailbox and each way to ask for it, whether the engine was told other than it should be."""
    headers = engine_headers(reader, name=f"pbx-{next(numbers)}")
    asterisk, freeswitch = Asterisk(headers), FreeSWITCH(headers)
    for mailbox in forest.mailboxes:
        context, may = mailbox.account.name, forest.may_read(reader, mailbox)
        listed = [
            parse_columns(line)["mailbox"] for line in asterisk.multi(context).body.splitlines()
        ]
        yield (str(mailbox.pk) in listed) != may
        yield bool(asterisk.single(mailbox.pk, context).body) != may
        yield bool(asterisk.send_form("single", f"mailbox={mailbox.pk}").body) != may
        yield (b"<user " in freeswitch.look_up(mailbox.pk, context).body) != may
        code = f"{forest.random.randrange(10_000):04}"
        before = Mailbox.objects.get(pk=mailbox.pk).password
        told = asterisk.update(mailbox.pk, context, code).body
        after = Mailbox.objects.get(pk=mailbox.pk).password
        yield (told, after) != ((b"1", code) if may else (b"0", before))


@pytest.mark.django_db
def test_an_engine_reads_its_tree_and_no_more(size, promise):
    answers = []
    for seed in range(size(2, 60)):
        forest = Forest(Random(seed))
        for reader in [None, *forest.accounts]:
            answers += wrong(forest, reader)
    promise(
        "No engine reads or changes a mailbox beyond its account's tree",
        f"{len(answers):,} questions of engines in random trees of accounts",
        sum(answers),
    )
