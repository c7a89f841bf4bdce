"""The history of a mailbox, whose states can be put back, and those of accounts."""

from itertools import groupby
from operator import attrgetter

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404
from django.shortcuts import get_object_or_404, redirect, render, resolve_url
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from mailboxes import batches
from mailboxes.account_history import (
    has_older_changes,
    list_deletions,
    list_keys,
    load_changes,
)
from mailboxes.console.access import (
    add_success,
    keep_table,
    redirect_to_mailbox,
    staff_with,
)
from mailboxes.history import (
    Access,
    HistoryPage,
    list_accesses,
    list_reveals,
    parse_version,
    show_greeting_names,
)
from mailboxes.message_changes import list_history
from mailboxes.models import Account, Batch, Mailbox
from mailboxes.models.accounts import AccountFullError
from mailboxes.staff.permissions import require_permissions
from mailboxes.trimming import describe_trimming

VERSIONS_PER_PAGE = 50
REVEALS_PER_PAGE = 20
CHANGES_PER_PAGE = 50


@require_safe
@staff_with("mailboxes.view_mailbox")
def history(request, uuid):
    """Show a page of changes, the newest first; group those of one version.

    `?before=` is the version that the page ends before, `?page=` the page of the views of the pass
    code, `?messages=` that of the messages heard or read, and `?deletions=` that of the messages
    deleted or restored.
    """
    mailbox = get_object_or_404(Mailbox.objects.select_related("account"), pk=uuid)
    page = HistoryPage(mailbox, VERSIONS_PER_PAGE, parse_version(request.GET.get("before")))
    show_greeting_names(page.changes)
    reveals = Paginator(list_reveals(mailbox), REVEALS_PER_PAGE)
    accesses = Paginator(list_accesses(mailbox), REVEALS_PER_PAGE)
    accesses = accesses.get_page(request.GET.get("messages"))
    deletions = Paginator(list_history(mailbox), REVEALS_PER_PAGE)
    context = keep_table(request) | {
        "mailbox": mailbox,
        "page": page,
        "deletions": deletions.get_page(request.GET.get("deletions")),
        "accesses": accesses,
        "access_rows": [Access.from_entry(entry) for entry in accesses],
        "steps": [list(step) for _version, step in groupby(page.changes, attrgetter("version"))],
        "trimming": describe_trimming(),
        "reveals": reveals.get_page(request.GET.get("page")),
        "may_put_back": request.user.has_perms(Batch.permissions(Batch.Action.PUT_BACK)),
    }
    return render(request, "console/history.html", context)


@require_POST
@staff_with(*Batch.permissions(Batch.Action.PUT_BACK))
def put_back(request, uuid):
    """Put back the settings and recipients of the `version` of the form."""
    mailbox = get_object_or_404(Mailbox, pk=uuid)
    version = parse_version(request.POST.get("version"))
    if version is None or version > mailbox.version:
        raise Http404
    if mailbox.is_deleted:
        require_permissions(request.user, Batch.permissions(Batch.Action.RESTORED))
    try:
        batch = batches.revert_to(mailbox, version, request.user)
    except batches.HistoryTrimmedError:
        gone = _("This state is no longer in the history, so it was not put back.")
        messages.warning(request, f"{gone} {describe_trimming()}")
        return redirect(resolve_url("console:history", uuid) + keep_table(request)["kept_query"])
    except AccountFullError as error:
        messages.error(request, error.message)
    else:
        add_success(request, str(batch), batch)
    return redirect_to_mailbox(request, uuid)


@require_safe
@staff_with("mailboxes.view_account", "mailboxes.view_apicredential")
def deleted_accounts(request):
    page = Paginator(list_deletions(), CHANGES_PER_PAGE).get_page(request.GET.get("page"))
    return render(request, "console/account_deleted_list.html", {"page": page})


@require_safe
@staff_with("mailboxes.view_account", "mailboxes.view_apicredential")
def account_history(request, name=None):
    """Show the changes of an account, which may be deleted, and of its credentials.

    Without a name, show those of the credentials for all accounts.
    """
    account = Account.objects.filter(name=name).first()
    page = Paginator(list_keys(name), CHANGES_PER_PAGE).get_page(request.GET.get("page"))
    is_trimmed = has_older_changes(name)
    if name and not (account or page.object_list or is_trimmed):
        raise Http404
    context = {
        "name": name,
        "account": account,
        "chain": account.chain() if account else [],
        "page": page,
        "changes": load_changes(page),
        "is_trimmed": is_trimmed and not page.has_next(),
    }
    return render(request, "console/account_history.html", context)
