"""API credentials of an account: issue, change and revoke them."""

from django.contrib import messages
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from mailboxes import sample_configuration
from mailboxes.console.access import add_success, staff_with
from mailboxes.console.writing import atomic_post, lock_for_update, log_change, log_saved
from mailboxes.forms import CredentialForm
from mailboxes.models import Account, ApiCredential
from mailboxes.staff.resubmission import get_form_uuid
from mailboxes.staff.unsent import fill_in


@require_http_methods(["GET", "HEAD", "POST"])
@staff_with("mailboxes.add_apicredential")
@atomic_post
def credential_issue(request, name):
    """Issue a credential. The answer itself shows the secret, so that no session stores it."""
    account = get_object_or_404(lock_for_update(request, Account.objects.all()), name=name)
    secret = ApiCredential.make_secret(get_form_uuid(request))
    if credential := account.credentials.just_issued(secret):
        return render_secret(request, credential, secret)
    unsaved = ApiCredential(account=account, is_engine="engine" in request.GET)
    form = fill_in(request, CredentialForm(request.POST or None, instance=unsaved))
    if form.is_valid():
        credential = form.save(commit=False)
        credential.issue(secret)
        log_saved(request, form, is_new=True)
        return render_secret(request, credential, secret)
    return render(request, "console/credential_issue.html", {"account": account, "form": form})


def render_secret(request, credential, secret):
    host = request.build_absolute_uri("/").rstrip("/")
    context = {
        "account": credential.account,
        "credential": credential,
        "secret": secret,
        "login_fields": credential.login_fields(secret),
        "address": request.build_absolute_uri(reverse("authenticated")),
        "engines": sample_configuration.fill_in_samples(host, credential, secret),
    }
    return render(request, "console/credential_secret.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@staff_with("mailboxes.change_apicredential")
@atomic_post
def credential_edit(request, name, pk):
    """Change the networks and the expiry of a credential that is not revoked."""
    credential = get_credential(request, name, pk)
    if credential.revoked_at:
        messages.warning(
            request,
            _("“%(name)s” is revoked and cannot be changed. Issue another credential.")
            % {"name": credential.name},
        )
        return redirect("console:account", name)
    form = fill_in(request, CredentialForm(request.POST or None, instance=credential))
    if form.is_valid():
        if form.has_changed():
            form.save()
            log_saved(request, form)
            add_success(
                request, _("Credential “%(name)s” was changed.") % {"name": credential.name}
            )
        return redirect("console:account", name)
    return render(request, "console/credential_edit.html", {"credential": credential, "form": form})


@require_http_methods(["GET", "HEAD", "POST"])
@staff_with("mailboxes.change_apicredential")
@atomic_post
def credential_revoke(request, name, pk):
    """Show the effects, and revoke the credential on POST."""
    credential = get_credential(request, name, pk)
    if request.method == "POST" and not credential.revoked_at:
        credential.revoke()
        log_change(request, credential, "Revoked.")
        add_success(
            request,
            _("Credential “%(name)s” was revoked: calls with it are refused.")
            % {"name": credential.name},
        )
    if credential.revoked_at:
        return redirect("console:account", name)
    return render(
        request,
        "console/credential_revoke.html",
        {
            "credential": credential,
            "customer_count": Account.objects.below(credential.account).count(),
        },
    )


def get_credential(request, name, pk):
    """Return the account's credential, locked on POST. Raises Http404."""
    credentials = lock_for_update(request, ApiCredential.objects.select_related("account"))
    return get_object_or_404(credentials, account__name=name, pk=pk)
