"""The home page: the mailboxes of all accounts."""

from django.core.paginator import Paginator
from django.shortcuts import render
from django.utils.functional import cached_property
from django.views.decorators.http import require_safe

from mailboxes.console.access import staff_with
from mailboxes.models import Mailbox

ROWS_PER_PAGE = 50


class CappedPaginator(Paginator):
    """Counts, and leads, no further than `most` rows: whoever has more of them searches."""

    most = 10_000

    @cached_property
    def count(self):
        return self.object_list.order_by()[: self.most].count()

    @property
    def is_capped(self):
        return self.count == self.most


@require_safe
@staff_with("mailboxes.view_mailbox")
def mailbox_list(request):
    """The mailboxes of all accounts: active or deleted ones, and of these the ones searched for."""
    text = request.GET.get("q", "").strip()
    is_deleted = request.GET.get("state") == "deleted"
    mailboxes = Mailbox.objects.filter(deleted_at__isnull=not is_deleted)
    if text:
        mailboxes = mailboxes.search(text)
    mailboxes = mailboxes.select_related("account").prefetch_related("email_recipients")
    paginator = CappedPaginator(mailboxes.order_by("account__name", "name", "uuid"), ROWS_PER_PAGE)
    return render(
        request,
        "console/mailbox_list.html",
        {
            "page": paginator.get_page(request.GET.get("page")),
            "text": text,
            "is_deleted": is_deleted,
        },
    )
