"""Generate realistic demo data: unsaved accounts and mailboxes, from a seed."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import count, product
from random import Random
from uuid import UUID

from django.conf import settings
from django.utils import timezone
from django.utils.text import slugify

from mailboxes.models import Account, Batch, EmailRecipient, Mailbox
from mailboxes.models.accounts import AccountFullError

# A fixed day, so that the same seed always gives the same dates. Only deletions are recent: they
# can be restored.
OPENED = datetime(2019, 3, 1, 8, tzinfo=UTC)
DAY = 24 * 60 * 60
FOUR_YEARS = 4 * 365 * DAY

# Looked up once, because each access to `.history` creates a manager class.
HISTORY = {model: model.history.model for model in (Mailbox, EmailRecipient)}

TREE_SIZE = 8  # a reseller and all its customers

FAMILIES = """
    abbott adeyemi bergmann bianchi brandt castillo chowdhury dubois eriksen farrow fontaine gallagher
    hartwell hashimoto ivanova jansen kaplan kowalski lindqvist macleod marchetti moreau nakamura novak
    okafor oyelaran pereira petrov quigley ramirez rossi sandoval schneider tanaka thornton vasquez
    vermeer whitlock yamada zimmer
""".split()
TRADES = """
    accounting architects autos bakery books brewery cafe catering clinic couriers dental electrics estates
    events farm films florist foods freight garage gardens glass hotel insurance joinery legal logistics
    marine motors optics packaging pharmacy plumbing printing roofing surveyors textiles travel vets wines
""".split()
GIVEN_NAMES = """
    Aisha Alice Amélie Björn Carlos Chloé Daniel Elif Emma Farid Fiona François Grace Hannah Hiroshi Ibrahim
    Inês Jakub James Jürgen Kavya Leila Liam Lucía Mateo Mei Nadia Noah Olivia Oscar Priya Renée Samuel Sofia
    Tomás Uma Victor Wanjiru Yusuf Zoë
""".split()
SURNAMES = """
    Adams Almeida Bauer Brown Çelik Costa Dvořák Evans Fernández Fischer García Grant Hassan Hughes Ito Jensen
    Khan Kim Laurent Lopez Mbeki Müller Nguyễn Nowak Obi Okonkwo Patel Peña Quinn Reyes Roberts Sato Šimek
    Singh Taylor Ünal Vargas Weiss Wójcik Young
""".split()
PLACES = (
    "Accounts, After hours, Appointments, Bookings, Customer service, Deliveries, Front desk, General "
    "enquiries, Human resources, Lobby phone, Meeting room, Night line, On call, Reception, Repairs, "
    "Sales, Support, Switchboard, Warehouse, Workshop"
).split(", ")
SHARED_ADDRESSES = ["archive", "backup", "everyone", "manager", "office", "voicemail"]
WEAK_PASS_CODES = ["0000", "1111", "1212", "1234", "1984", "2580", "4321", "6969", "7777", "9999"]


class Demo:
    """One stream of random values: the order of the calls affects the result.

    `user` is the author of all changes, and `deletions` are the unsaved batches of the deletions.
    """

    def __init__(self, seed: int, user):
        self.random = Random(seed)  # noqa: S311  not for secrets
        self.user = user
        self.deletions: list[Batch] = []
        self.greetings: list[UUID] = []  # which the demo account shares with its customers
        self.sharing: set[str] = set()  # the names of these accounts
        self.today = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)

    def accounts(self, number):
        """Return resellers, each followed by its customers, several levels deep.

        The first is `demo`.
        """
        names = self.business_names()
        accounts = []
        for index in range(number):
            # Each tree is a binary heap: account n of it is a customer of account (n - 1) // 2.
            position = index % TREE_SIZE
            reseller = accounts[-position:][(position - 1) // 2] if position else None
            start = reseller.created_at if reseller else OPENED
            account = Account(
                name=next(names) if index else "demo",
                contact_name=self.person(),
                reseller=reseller,
                created_at=start + self.up_to(60),
            )
            account._history_user = self.user  # for simple-history, which saves its history row
            accounts.append(account)
        self.sharing = {account.name for account in accounts[:TREE_SIZE]}
        return accounts

    def mailboxes(self, accounts, number):
        """Yield each mailbox with its recipients and history, in order of creation by account.

        Raises AccountFullError.
        """
        weights = [1.5, *(self.random.expovariate(1) for _ in accounts[1:])]
        sizes = Counter(self.random.choices(range(len(accounts)), weights, k=number))
        if max(sizes.values()) > settings.MAX_MAILBOXES_PER_ACCOUNT:
            ((index, _size),) = sizes.most_common(1)
            raise AccountFullError(accounts[index])
        for index, account in enumerate(accounts):
            ages = sorted(self.random.sample(range(FOUR_YEARS), sizes[index]))
            names = self.mailbox_names(sizes[index])
            for name, age in zip(names, ages, strict=True):
                mailbox = self.mailbox(account, name, account.created_at + timedelta(seconds=age))
                history = [history_row(mailbox, "+", history_user=self.user)]
                recipients = list(self.recipients(mailbox))
                if self.maybe_change(mailbox):
                    history.append(history_row(mailbox, "~", **self.author(mailbox)))
                yield mailbox, recipients, history

    def mailbox(self, account, name, created_at):
        chance = self.random.random
        return Mailbox(
            uuid=self.uuid(),
            account=account,
            name=name,
            password=self.pass_code() if chance() < 0.9 else None,
            greeting=self.choose_greeting(account) if chance() < 0.3 else None,
            beep=chance() < 0.85,
            play_caller_id=chance() < 0.4,
            play_timestamp=chance() < 0.5,
            transcribe=chance() < 0.25,
            created_at=created_at,
            updated_at=created_at,
        )

    def choose_greeting(self, account):
        can_use = self.greetings and account.name in self.sharing
        return self.random.choice(self.greetings) if can_use else None

    def recipients(self, mailbox):
        """Yield up to three recipients, added one a minute; each changes the mailbox."""
        number = self.random.choices(range(4), (15, 45, 25, 15))[0]
        own = slugify(mailbox.name.partition(",")[0]).replace("-", ".")
        local_parts = [own, *self.random.sample(SHARED_ADDRESSES, 2)][:number]
        for position, local_part in enumerate(local_parts, 1):
            mailbox.version += 1
            mailbox.updated_at += timedelta(minutes=1)
            yield EmailRecipient(
                uuid=self.uuid(),
                mailbox=mailbox,
                email=f"{local_part}@{mailbox.account.name}.example",
                position=position,
                created_at=mailbox.updated_at,
                updated_at=mailbox.updated_at,
            )

    def maybe_change(self, mailbox):
        """Set a change or a recent deletion, for 3 of 10 mailboxes. Return True if so."""
        chance = self.random.random()
        if chance > 0.3:
            return False
        mailbox.version += 1
        if chance < 0.03:
            days = min(settings.RETENTION_DAYS, 30)
            mailbox.deleted_at = mailbox.updated_at = self.today - self.up_to(days) / 2
        else:
            mailbox.updated_at += self.up_to(365)
            mailbox.transcribe = not mailbox.transcribe
        return True

    def author(self, mailbox) -> dict:
        """Return the author of the mailbox's last change, and its batch if that deleted it."""
        if not mailbox.is_deleted:
            return {"history_user": self.user}
        deletion = Batch(
            uuid=self.uuid(),
            user=self.user,
            action=Batch.Action.DELETED,
            made_at=mailbox.deleted_at,
            count=1,
            name=mailbox.name,
            effects={},
            accounts=[mailbox.account.name],
        )
        self.deletions.append(deletion)
        return {"history_user": self.user, "history_batch_id": deletion.pk}

    def business_names(self):
        for branch in count(1):
            pairs = list(product(FAMILIES, TRADES))
            self.random.shuffle(pairs)
            for family, trade in pairs:
                yield f"{family}-{trade}" if branch == 1 else f"{family}-{trade}-{branch}"

    def mailbox_names(self, number):
        places = self.random.sample(PLACES, min(number // 2, len(PLACES)))
        people = [self.person() for _ in range(number - len(places))]
        names = [
            f"{name}, ext. {extension}" if self.random.random() < 0.2 else name
            for extension, name in enumerate(places + people, start=200)
        ]
        self.random.shuffle(names)
        return names

    def person(self):
        return f"{self.random.choice(GIVEN_NAMES)} {self.random.choice(SURNAMES)}"

    def pass_code(self):
        if self.random.random() < 0.15:
            return self.random.choice(WEAK_PASS_CODES)
        return f"{self.random.randrange(10_000):04}"

    def uuid(self):
        return UUID(int=self.random.getrandbits(128), version=4)

    def up_to(self, days):
        return timedelta(seconds=self.random.randrange(1, days * DAY))


def history_row(row, history_type, **fields):
    model = HISTORY[type(row)]
    return model(
        **fields,
        history_date=row.updated_at,
        history_type=history_type,
        **{field.attname: getattr(row, field.attname) for field in model.tracked_fields},
    )
