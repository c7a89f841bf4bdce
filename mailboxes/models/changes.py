"""Feeds of changes, for programs that keep a copy of an account's mailboxes."""

from contextlib import suppress
from uuid import UUID, uuid4

from django.db import OperationalError, models, transaction
from django.db.models import Max, Subquery

from mailboxes.db.connections import fail_if_locked
from mailboxes.models.accounts import Account
from mailboxes.models.mailboxes import MailboxQuerySet


class ChangeFeed(models.Model):
    """Numbers the changes of an account's mailboxes in the order in which they become visible.

    A change becomes visible when it is committed: an import may begin before another change and be
    committed after it. A writer cannot give the number, unless all writers of an account wait for
    each other. So a change sets the mailbox's number to null, and the next reader of the feed, one
    at a time, numbers the changes that are visible. Then no change is ever numbered late.

    PostgreSQL's transaction ids would order changes without a writing reader, but SQLite has none,
    and a restore into another server begins them anew.
    """

    account = models.OneToOneField(
        Account, on_delete=models.CASCADE, primary_key=True, related_name="change_feed"
    )
    # Backups leave out the feeds, so a cursor from before a restore belongs to no feed.
    uuid = models.UUIDField(default=uuid4, editable=False)
    last = models.BigIntegerField()
    # The last number of a mailbox that was removed for good: no list can show its deletion.
    removed = models.BigIntegerField(default=0)

    new: UUID | None  # a changed mailbox without a number, set by `read`
    has_more = False  # True if `read` has left changes without a number

    def __str__(self):
        return f"Changes of {self.account}"

    @classmethod
    def read(cls, account: Account, limit: int) -> "ChangeFeed":
        """Return the account's feed, after numbering at most `limit` of its new changes.

        All changes with numbers up to `last` are visible to a query that begins later.
        """
        new = select_unnumbered(account.mailboxes.all())
        feeds = cls.objects.filter(pk=account.pk).annotate(new=Subquery(new.values("pk")[:1]))
        feed = feeds.first()
        if feed is None:
            cls.start(account)
            feed = feeds.get()
        if feed.new:
            # If another call numbers, or SQLite is being written, a later call can do it.
            with suppress(OperationalError), fail_if_locked(durable=True):
                return feed.number_changes(account.mailboxes.all(), limit)
        return feed

    @classmethod
    def start(cls, account: Account) -> None:
        """Create a feed that continues the numbers of an earlier one, if there was one."""
        latest = account.mailboxes.aggregate(latest=Max("change_number"))["latest"]
        cls.objects.get_or_create(account=account, defaults={"last": latest or 0})

    @transaction.atomic(savepoint=False)
    def number_changes(self, mailboxes: MailboxQuerySet, limit: int | None = None) -> "ChangeFeed":
        """Give the next number, the same, to all of these mailboxes that have none.

        At most `limit` of them; a locked one gets its number in a later call. Return the feed as
        it is now, locked until the transaction ends.
        """
        feed = ChangeFeed.objects.select_for_update().get(pk=self.pk)
        # The change of a locked mailbox is numbered after it is committed.
        changed = select_unnumbered(mailboxes).select_for_update(skip_locked=True)
        if uuids := list(changed.values_list("pk", flat=True)[:limit]):
            feed.last += 1
            feed.save(update_fields=["last"])
            mailboxes.filter(pk__in=uuids).update(change_number=feed.last)
        feed.has_more = len(uuids) == limit
        return feed

    @classmethod
    def record_removal(cls, mailboxes: MailboxQuerySet) -> None:
        """Refuse cursors that do not include the deletion of mailboxes that are now removed."""
        for feed in cls.objects.filter(account__in=mailboxes.order_by().values("account")):
            of_account = mailboxes.filter(account=feed.pk)
            feed.number_changes(of_account)
            latest = of_account.aggregate(latest=Max("change_number"))["latest"]
            cls.objects.filter(pk=feed.pk, removed__lt=latest).update(removed=latest)


def select_unnumbered(mailboxes: MailboxQuerySet) -> MailboxQuerySet:
    # The order makes PostgreSQL use the index. Without it, PostgreSQL may expect to meet some of them
    # soon, and read the whole table if there are none.
    return mailboxes.filter(change_number=None).order_by("change_number")
