"""The second factor: sign-in code, set-up, recovery codes, and turning it off."""

from base64 import b64encode

import django_otp
from django import forms
from django.contrib import messages
from django.contrib.auth.models import AnonymousUser
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST
from django_otp.plugins.otp_static.models import StaticDevice
from qrcode.image.svg import SvgPathFillImage
from qrcode.main import QRCode

from mailboxes.console.access import add_success, redirect_to_next, staff_with
from mailboxes.console.writing import log_change
from mailboxes.staff import second_factor

form_page = require_http_methods(["GET", "HEAD", "POST"])


class CodeForm(forms.Form):
    """A code of the second factor. `device` is the OTP device that accepted it."""

    code = forms.CharField(
        label=gettext_lazy("Code"),
        max_length=32,
        help_text=gettext_lazy(
            "The six digits that your authenticator app shows, or one of your recovery codes."
        ),
        widget=forms.TextInput(
            {
                "autocomplete": "one-time-code",
                "autocapitalize": "none",
                "spellcheck": "false",
                "autofocus": True,
            }
        ),
    )

    def __init__(self, user, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.user = user

    def clean_code(self):
        """Ignore case, spaces and hyphens."""
        code = self.cleaned_data["code"].replace(" ", "").replace("-", "").lower()
        self.device = self.find_device(code)
        return code

    def find_device(self, code):
        return second_factor.verify_code(self.user, code)


class FirstCodeForm(CodeForm):
    """The code that confirms a new authenticator."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["code"].help_text = _("The six digits that the app shows now.")
        self.fields["code"].widget.attrs["inputmode"] = "numeric"

    def find_device(self, code):
        return second_factor.confirm_authenticator(self.user, code)


def get_form_data(request):
    """Return the data of a POST, even if empty; None for other methods."""
    return request.POST if request.method == "POST" else None


@form_page
@never_cache
def sign_in_code(request):
    """Ask for the code after the password. The middleware blocks all other pages until then."""
    if not second_factor.needs_code(request.user):
        return redirect("console:mailbox-list")
    form = CodeForm(request.user, get_form_data(request))
    if form.is_valid():
        request.session.cycle_key()
        django_otp.login(request, form.device)
        if isinstance(form.device, StaticDevice):
            messages.warning(request, describe_codes_left(request.user))
        return redirect_to_next(request, "console:mailbox-list")
    return render(
        request,
        "registration/code.html",
        {
            "form": form,
            "next": request.POST.get("next") or request.GET.get("next", ""),
            "username": request.user.get_username(),
            "user": AnonymousUser(),  # the page must not link to others yet
        },
    )


def describe_codes_left(user) -> str:
    count = second_factor.count_recovery_codes(user)
    return ngettext(
        "You signed in with a recovery code. %(count)s is left.",
        "You signed in with a recovery code. %(count)s are left.",
        count,
    ) % {"count": count}


@require_POST
@staff_with()
def start(request):
    """Create an authenticator's key, unless the second factor is already on."""
    if second_factor.is_enabled(request.user):
        return redirect("console:me")
    second_factor.start_set_up(request.user)
    return redirect("console:second-factor")


@form_page
@staff_with()
def set_up(request):
    """Show the new key; the second factor is on once the user has entered a code."""
    authenticator = second_factor.get_unconfirmed(request.user)
    if authenticator is None:
        return redirect("console:me")
    form = FirstCodeForm(request.user, get_form_data(request))
    if form.is_valid():
        request.session.cycle_key()
        django_otp.login(request, form.device)
        log_change(request, request.user, "Second factor turned on.")
        return render_new_codes(request)
    address = authenticator.config_url
    return render(
        request,
        "console/second_factor.html",
        {
            "form": form,
            "key": second_factor.format_key(authenticator),
            "address": address,
            "qr_code": make_qr_code_url(address),
        },
    )


@form_page
@staff_with()
def recovery_codes(request):
    return require_code(request, "console/recovery_codes.html", replace_recovery_codes)


@form_page
@staff_with()
def turn_off(request):
    return require_code(request, "console/second_factor_off.html", remove_second_factor)


def require_code(request, template, action):
    """Ask for a code before the action, because someone may have found an open browser."""
    if not second_factor.is_enabled(request.user):
        return redirect("console:me")
    form = CodeForm(request.user, get_form_data(request))
    if form.is_valid():
        return action(request)
    return render(request, template, {"form": form})


def replace_recovery_codes(request):
    log_change(request, request.user, "Recovery codes replaced.")
    return render_new_codes(request)


def render_new_codes(request):
    """Create recovery codes and show them in this answer only, so that no session stores them."""
    codes = second_factor.create_recovery_codes(request.user)
    text = "\n".join(f"{code[:4]}-{code[4:]}" for code in codes)
    return render(request, "console/recovery_codes_shown.html", {"codes": text})


def remove_second_factor(request):
    second_factor.disable(request.user)
    log_change(request, request.user, "Second factor turned off.")
    add_success(request, _("The second factor is off. You now sign in with your password alone."))
    return redirect("console:me")


def make_qr_code_url(text) -> str:
    code = QRCode(image_factory=SvgPathFillImage)
    code.add_data(text)
    svg = code.make_image().to_string(encoding="utf-8")
    return f"data:image/svg+xml;base64,{b64encode(svg).decode()}"
