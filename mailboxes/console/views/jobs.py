"""List tasks that failed for good, and try them again."""

from django.contrib import messages
from django.core.paginator import Paginator
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST, require_safe
from django_tasks_db.models import DBTaskResult

from mailboxes.console.access import add_success, staff_with
from mailboxes.delivery.failures import describe_failure, list_failed, try_again

JOBS_PER_PAGE = 50
VIEW = "django_tasks_database.view_dbtaskresult"
CHANGE = "django_tasks_database.change_dbtaskresult"


@require_safe
@staff_with(VIEW)
def job_list(request):
    """List tasks that failed for good, the last one first."""
    page = Paginator(list_failed(), JOBS_PER_PAGE).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "failures": [describe_failure(row) for row in page],
        "may_try_again": request.user.has_perm(CHANGE),
    }
    return render(request, "console/job_list.html", context)


@require_POST
@staff_with(CHANGE)
def job_again(request, uuid):
    return redirect_after(request, try_again(DBTaskResult.objects.filter(pk=uuid)))


@require_POST
@staff_with(CHANGE)
def jobs_again(request):
    return redirect_after(request, try_again(DBTaskResult.objects.all()))


def redirect_after(request, count):
    if count:
        text = ngettext("%(count)s task is tried again.", "%(count)s tasks are tried again.", count)
        add_success(request, text % {"count": count})
    else:
        messages.warning(request, _("Nothing was done: it was already tried again."))
    return redirect("console:job-list")
