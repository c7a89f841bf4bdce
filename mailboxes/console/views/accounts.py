"""The accounts: all of them as a tree, one of them, and suspending it."""

from django.core.paginator import Paginator
from django.db.models import Count, OuterRef, Subquery, Sum
from django.db.models.functions import Coalesce
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from mailboxes.console.access import add_success, staff_with
from mailboxes.console.writing import atomic_post, lock_for_update, log_change, log_saved
from mailboxes.forms import AccountForm
from mailboxes.models import Account, ApiCredential, Mailbox
from mailboxes.models.accounts import LINEAGE_SEPARATOR

ACCOUNTS_PER_PAGE = 50
CUSTOMERS_SHOWN = 10
MAILBOXES_SHOWN = 5
NAMES_SUGGESTED = 10

# Deeper ones are indented as far as this: a phone is narrow.
DEEPEST_INDENT = 6

# What the filter may ask for, and whether the account is active then.
STATES = {"active": True, "suspended": False}


@require_safe
@staff_with("mailboxes.view_account")
def account_list(request, name=None):
    """The tree of all accounts, or of one's customers; or of these the ones searched for."""
    accounts = with_counts(Account.objects.all())
    chain = []
    if name:
        reseller = get_object_or_404(Account, name=name)
        chain = [*reseller.chain(), reseller]
        accounts = accounts.exclude(pk=reseller.pk)
    text = request.GET.get("q", "").strip()
    if text:
        accounts = accounts.search(text)
    state = request.GET.get("state")
    state = state if state in STATES else ""
    if state:
        accounts = accounts.filter(is_active=STATES[state])
    accounts = accounts.in_tree_order(chain)
    page = Paginator(accounts, ACCOUNTS_PER_PAGE).get_page(request.GET.get("page"))
    for account in page:
        account.above = account.lineage.rpartition(LINEAGE_SEPARATOR)[0]
        account.indent = range(min(account.depth - len(chain), DEEPEST_INDENT))
    engines = []
    is_whole = page.number == 1 and not (name or text or state)
    if is_whole and request.user.has_perm("mailboxes.view_apicredential"):
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
    """Suggestions for a field that takes an account's name: it asks with its own value, others with `q`."""
    asked = request.GET.get(request.htmx.trigger_name or "q", "").strip()
    return render(
        request,
        "console/account_names.html",
        {"accounts": Account.objects.suggest(asked)[:NAMES_SUGGESTED]},
    )


@require_safe
@staff_with("mailboxes.view_account")
def account(request, name):
    """One account, with its place in the tree and what it has."""
    account = get_object_or_404(Account, name=name)
    # Account by account: all mailboxes would be read to find those of a tree of any size.
    tree = with_counts(Account.objects.tree(account))
    tree = tree.aggregate(accounts=Count("pk"), mailboxes=Sum("mailbox_count"))
    mailboxes = Mailbox.objects.active()
    return render(
        request,
        "console/account.html",
        {
            "account": account,
            "chain": account.chain(),
            "below": tree["accounts"] - 1,
            "customers": with_counts(account.customers.all())[:CUSTOMERS_SHOWN],
            "mailbox_count": mailboxes.filter(account=account).count(),
            "mailbox_count_below": tree["mailboxes"],
            "latest": mailboxes.filter(account=account).order_by("-updated_at", "uuid")[
                :MAILBOXES_SHOWN
            ],
            "credentials": account.credentials.all().by_state(),
        },
    )


@require_http_methods(["GET", "HEAD", "POST"])
@staff_with("mailboxes.add_account")
@atomic_post
def account_add(request):
    """A new account; `?reseller=` fills in whose customer it is."""
    form = AccountForm(request.POST or None, initial={"reseller": request.GET.get("reseller", "")})
    if form.is_valid():
        account = form.save()
        log_saved(request, form, is_new=True)
        add_success(request, _("Account %(name)s is made.") % {"name": account})
        return redirect("console:account", account)
    return render(request, "console/account_add.html", {"form": form})


@require_http_methods(["GET", "HEAD", "POST"])
@staff_with("mailboxes.change_account")
@atomic_post
def account_edit(request, name):
    """Its contact, and whose customer it is."""
    account = get_object_or_404(lock_for_update(request, Account.objects.all()), name=name)
    form = AccountForm(request.POST or None, instance=account)
    if form.is_valid():
        if form.has_changed():
            form.save()
            log_saved(request, form)
            add_success(request, _("Account %(name)s is changed.") % {"name": account})
        return redirect("console:account", account)
    return render(request, "console/account_edit.html", {"account": account, "form": form})


@require_http_methods(["GET", "HEAD", "POST"])
@staff_with("mailboxes.change_account")
@atomic_post
def account_suspend(request, name):
    """Say what will be refused, then refuse it."""
    account = get_object_or_404(lock_for_update(request, Account.objects.all()), name=name)
    if request.method == "POST" and account.is_active:
        account.suspend()
        log_change(request, account, "Suspended.")
        add_success(
            request,
            _("Account %(name)s is suspended: its credentials are refused.") % {"name": account},
        )
    return turn_page(request, account, "console/account_suspend.html", done=not account.is_active)


@require_http_methods(["GET", "HEAD", "POST"])
@staff_with("mailboxes.change_account")
@atomic_post
def account_reactivate(request, name):
    """Say what will work again, then let it."""
    account = get_object_or_404(lock_for_update(request, Account.objects.all()), name=name)
    if request.method == "POST" and not account.is_active:
        account.reactivate()
        log_change(request, account, "Reactivated.")
        add_success(
            request,
            _("Account %(name)s is active: its credentials work again.") % {"name": account},
        )
    return turn_page(request, account, "console/account_reactivate.html", done=account.is_active)


def turn_page(request, account, template, done):
    """What suspending or reactivating the account does; back to its page once it is done."""
    if done:
        return redirect("console:account", account)
    return render(
        request,
        template,
        {
            "account": account,
            "credentials": account.credentials.in_force(),
            "mailbox_count": account.mailboxes.active().count(),
            "below": Account.objects.below(account).count(),
        },
    )
