"""Accounts: the tree, one account, create, change, suspend and reactivate it."""

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import Count, OuterRef, Subquery, Sum
from django.db.models.functions import Coalesce
from django.shortcuts import get_object_or_404, redirect, render, resolve_url
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from mailboxes.console.access import add_success, staff_with
from mailboxes.console.writing import (
    atomic_post,
    lock_for_update,
    log_change,
    log_deletion,
    log_saved,
)
from mailboxes.forms import AccountForm
from mailboxes.history import list_reasons_to_keep
from mailboxes.models import Account, ApiCredential, Mailbox, Sound
from mailboxes.models.accounts import LINEAGE_SEPARATOR
from mailboxes.staff.resubmission import get_form_uuid, wait_for_earlier_forms
from mailboxes.staff.unsent import fill_in

ACCOUNTS_PER_PAGE = 50
CUSTOMERS_SHOWN = 10
MAILBOXES_SHOWN = 5
NAMES_SUGGESTED = 10

# Phones have no room to indent deeper levels further.
MAX_INDENT = 6

# The values of the `state` filter, and the `is_active` that each selects.
STATES = {"active": True, "suspended": False}


@require_safe
@staff_with("mailboxes.view_account")
def account_list(request, name=None):
    """List the tree of all accounts, or of the customers of `name`."""
    accounts = with_counts(Account.objects.all())
    chain = []
    if name:
        reseller = get_object_or_404(Account, name=name)
        chain = [*reseller.chain(), reseller]
        accounts = accounts.exclude(pk=reseller.pk)
    text = request.GET.get("q", "").strip()
    if text:
        try:
            accounts = accounts.search(text)
        except ValidationError as error:
            messages.error(request, error.messages[0])
            accounts = accounts.none()
    state = request.GET.get("state")
    state = state if state in STATES else ""
    if state:
        accounts = accounts.filter(is_active=STATES[state])
    accounts = accounts.in_tree_order(chain)
    page = Paginator(accounts, ACCOUNTS_PER_PAGE).get_page(request.GET.get("page"))
    for account in page:
        account.above = account.lineage.rpartition(LINEAGE_SEPARATOR)[0]
        account.indent = range(min(account.depth - len(chain), MAX_INDENT))
    engines = []
    is_complete = page.number == 1 and not (name or text or state)
    if is_complete and request.user.has_perm("mailboxes.view_apicredential"):
        engines = ApiCredential.objects.filter(account=None).by_state()
    context = {"page": page, "chain": chain, "text": text, "state": state, "engines": engines}
    return render(request, "console/account_list.html", context)


def with_counts(accounts):
    """Annotate active mailboxes (`mailbox_count`) and usable credentials (`credential_count`)."""

    def count(rows):
        of_one = rows.filter(account=OuterRef("pk")).order_by().values("account")
        return Coalesce(Subquery(of_one.annotate(count=Count("pk")).values("count")), 0)

    return accounts.annotate(
        mailbox_count=count(Mailbox.objects.active()),
        credential_count=count(ApiCredential.objects.usable()),
    )


@require_safe
@staff_with("mailboxes.view_account")
def account_names(request):
    """Suggest account names. htmx sends the text under the field's name, other clients as `q`."""
    text = request.GET.get(request.htmx.trigger_name or "q", "").strip()
    return render(
        request,
        "console/account_names.html",
        {"accounts": Account.objects.suggest(text)[:NAMES_SUGGESTED]},
    )


@require_safe
@staff_with("mailboxes.view_account")
def account(request, name):
    account = get_object_or_404(Account, name=name)
    # Count by account: a join over the tree would read every mailbox.
    tree = with_counts(Account.objects.tree(account))
    tree = tree.aggregate(accounts=Count("pk"), mailboxes=Sum("mailbox_count"))
    mailboxes = Mailbox.objects.active()
    return render(
        request,
        "console/account.html",
        {
            "account": account,
            "chain": account.chain(),
            "customer_count": tree["accounts"] - 1,
            "customers": with_counts(account.customers.all())[:CUSTOMERS_SHOWN],
            "mailbox_count": mailboxes.filter(account=account).count(),
            "tree_mailbox_count": tree["mailboxes"],
            "sound_count": Sound.objects.usable_by(account).count(),
            "latest_mailboxes": mailboxes.filter(account=account).order_by("-updated_at", "uuid")[
                :MAILBOXES_SHOWN
            ],
            "credentials": account.credentials.all().by_state(),
            "webhooks": account.webhooks.all(),
        },
    )


@require_http_methods(["GET", "HEAD", "POST"])
@staff_with("mailboxes.add_account")
@atomic_post
def account_add(request):
    """Create an account; `?reseller=` fills in the reseller."""
    is_from_page = get_form_uuid(request) is not None
    if is_from_page:
        wait_for_earlier_forms(request.user)
    form = AccountForm(request.POST or None, initial={"reseller": request.GET.get("reseller", "")})
    fill_in(request, form)
    if form.is_valid():
        account = form.save()
        log_saved(request, form, is_new=True)
    elif is_from_page and list(form.errors) == ["name"]:  # the second of a double click
        account = Account.objects.just_created(form.instance)
    else:
        account = None
    if account is None:
        return render(request, "console/account_add.html", {"form": form})
    add_success(request, _("Account %(name)s was created.") % {"name": account})
    return redirect("console:account", account)


@require_http_methods(["GET", "HEAD", "POST"])
@staff_with("mailboxes.change_account")
@atomic_post
def account_edit(request, name):
    account = get_object_or_404(lock_for_update(request, Account.objects.all()), name=name)
    form = fill_in(request, AccountForm(request.POST or None, instance=account))
    if form.is_valid():
        if form.has_changed():
            form.save()
            log_saved(request, form)
            add_success(request, _("Account %(name)s was changed.") % {"name": account})
        return redirect("console:account", account)
    return render(request, "console/account_edit.html", {"account": account, "form": form})


@require_http_methods(["GET", "HEAD", "POST"])
@staff_with("mailboxes.change_account")
@atomic_post
def account_suspend(request, name):
    """Show the effects of a suspension, and suspend the account on POST."""
    account = get_object_or_404(lock_for_update(request, Account.objects.all()), name=name)
    if request.method == "POST" and account.is_active:
        account.suspend()
        log_change(request, account, "Suspended.")
        add_success(
            request,
            _("Account %(name)s is suspended: its credentials are refused.") % {"name": account},
        )
    return render_state_change(
        request, account, "console/account_suspend.html", is_done=not account.is_active
    )


@require_http_methods(["GET", "HEAD", "POST"])
@staff_with("mailboxes.change_account")
@atomic_post
def account_reactivate(request, name):
    """Show the effects of a reactivation, and reactivate the account on POST."""
    account = get_object_or_404(lock_for_update(request, Account.objects.all()), name=name)
    if request.method == "POST" and not account.is_active:
        account.reactivate()
        log_change(request, account, "Reactivated.")
        add_success(
            request,
            _("Account %(name)s is active: its credentials work again.") % {"name": account},
        )
    return render_state_change(
        request, account, "console/account_reactivate.html", is_done=account.is_active
    )


@require_http_methods(["GET", "HEAD", "POST"])
@staff_with("mailboxes.delete_account")
@atomic_post
def account_delete(request, name):
    """Show what a deletion removes, or why it is not possible. Delete the account on POST."""
    account = get_object_or_404(lock_for_update(request, Account.objects.all()), name=name)
    reasons = list_reasons_to_keep(account)
    if request.method == "POST" and not reasons:
        log_deletion(request, account)
        account.delete()
        text = _("Account %(name)s was deleted.") % {"name": name}
        if request.user.has_perm("mailboxes.view_apicredential"):
            link = resolve_url("console:account-history", name), _("See its history")
            text = format_html('{} <a href="{}">{}</a>', text, *link)
        add_success(request, text)
        return redirect("console:account-list")
    return render(
        request,
        "console/account_delete.html",
        {
            "account": account,
            "reasons": reasons,
            "credentials": account.credentials.all(),
            "webhooks": account.webhooks.count(),
        },
    )


def render_state_change(request, account, template, is_done):
    """Show the effects of suspending or reactivating; once that is done, show the account."""
    if is_done:
        return redirect("console:account", account)
    return render(
        request,
        template,
        {
            "account": account,
            "credentials": account.credentials.in_force(),
            "mailbox_count": account.mailboxes.active().count(),
            "customer_count": Account.objects.below(account).count(),
        },
    )
