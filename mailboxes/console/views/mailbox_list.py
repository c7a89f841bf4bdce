"""The home page: the mailboxes of all accounts."""

from django.core.paginator import Paginator
from django.db.models import Count
from django.shortcuts import render
from django.utils.functional import cached_property
from django.views.decorators.http import require_safe

from mailboxes.console.access import staff_with
from mailboxes.console.filters import MailboxFilter
from mailboxes.history import add_deletions
from mailboxes.models import Mailbox, Message

ROWS_PER_PAGE = 50


class CappedPaginator(Paginator):
    """A paginator of at most `max_rows` rows, because counting millions is slow."""

    max_rows = 10_000

    @cached_property
    def count(self):
        if isinstance(self.object_list, list):
            return len(self.object_list)
        return self.object_list.order_by()[: self.max_rows].count()

    @property
    def is_capped(self):
        return self.count == self.max_rows


@require_safe
@staff_with("mailboxes.view_mailbox")
def mailbox_list(request):
    table = MailboxFilter(request.GET)
    rows = table.mailboxes
    if table.is_search:  # takes long, so run it once, instead of for the count and for the rows
        rows = list(rows.values_list("pk", flat=True)[: CappedPaginator.max_rows])
    page = CappedPaginator(rows, ROWS_PER_PAGE).get_page(request.GET.get("page"))
    if table.is_search:
        found = Mailbox.objects.filter(pk__in=page.object_list)
        page.object_list = found.order_by(*table.ordering)
    page.object_list = page.object_list.select_related("account").prefetch_related(
        "email_recipients"
    )
    if table.is_deleted:
        add_deletions(page.object_list)
    elif request.user.has_perm("mailboxes.view_message"):
        add_unheard_counts(page.object_list)
    return render(request, "console/mailbox_list.html", {"table": table, "page": page})


def add_unheard_counts(mailboxes) -> None:
    """Set `unheard_count` of each mailbox, with one query."""
    unheard = Message.objects.unheard().filter(mailbox__in=[mailbox.pk for mailbox in mailboxes])
    counts = dict(unheard.order_by().values_list("mailbox").annotate(Count("pk")))
    for mailbox in mailboxes:
        mailbox.unheard_count = counts.get(mailbox.pk, 0)
