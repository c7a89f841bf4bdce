"""The home page: the mailboxes of all accounts."""

from django.core.paginator import Paginator
from django.shortcuts import render
from django.utils.functional import cached_property
from django.views.decorators.http import require_safe

from mailboxes.console.access import staff_with
from mailboxes.console.filters import MailboxFilter

ROWS_PER_PAGE = 50


class CappedPaginator(Paginator):
    """A paginator of at most `max_rows` rows, because counting millions is slow."""

    max_rows = 10_000

    @cached_property
    def count(self):
        return self.object_list.order_by()[: self.max_rows].count()

    @property
    def is_capped(self):
        return self.count == self.max_rows


@require_safe
@staff_with("mailboxes.view_mailbox")
def mailbox_list(request):
    table = MailboxFilter(request.GET)
    mailboxes = table.mailboxes.select_related("account").prefetch_related("email_recipients")
    page = CappedPaginator(mailboxes, ROWS_PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "console/mailbox_list.html", {"table": table, "page": page})
