"""The staff's pages: each view guards, fetches and renders."""

from django.contrib.auth.decorators import user_passes_test
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.shortcuts import render
from django.utils.functional import cached_property
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

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


def staff_with(permission):
    """Only for staff with the permission. Anyone else who is signed in is refused; a stranger signs in first."""

    def may_pass(user):
        if user.is_authenticated and not (user.is_staff and user.has_perm(permission)):
            raise PermissionDenied
        return user.is_authenticated

    return user_passes_test(may_pass)


@require_safe
@never_cache
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
