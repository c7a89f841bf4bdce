"""The second factor: its code after the password, setting it up, and turning it off."""

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

from mailboxes.console.access import add_success, next_page, staff_with
from mailboxes.staff import second_factor

form_page = require_http_methods(["GET", "HEAD", "POST"])


class CodeForm(forms.Form):
    """A code of the user's; `device` is what it is of."""

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
        """The code without what people put between its parts."""
        code = self.cleaned_data["code"].replace(" ", "").replace("-", "").lower()
        self.device = self.check(code)
        return code

    def check(self, code):
        return second_factor.verify_code(self.user, code)


class FirstCodeForm(CodeForm):
    """The code that makes an authenticator count."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        self.fields["code"].help_text = _("The six digits that the app shows now.")
        self.fields["code"].widget.attrs["inputmode"] = "numeric"

    def check(self, code):
        return second_factor.confirm_authenticator(self.user, code)


def sent(request):
    """What the form was sent with, if it was."""
    return request.POST if request.method == "POST" else None


@form_page
@never_cache
def sign_in_code(request):
    """The code that is asked for after the password; all other pages stay shut until it is given."""
    if not second_factor.is_required(request.user):
        return redirect("console:mailbox-list")
    form = CodeForm(request.user, sent(request))
    if form.is_valid():
        request.session.cycle_key()
        django_otp.login(request, form.device)
        if isinstance(form.device, StaticDevice):
            messages.warning(request, left(request.user))
        return redirect(next_page(request, "console:mailbox-list"))
    return render(
        request,
        "registration/code.html",
        {
            "form": form,
            "next": request.POST.get("next") or request.GET.get("next", ""),
            "username": request.user.get_username(),
            "user": AnonymousUser(),  # so far: the page leads nowhere yet
        },
    )


def left(user) -> str:
    """How many recovery codes are left, as a sentence."""
    count = second_factor.count_recovery_codes(user)
    return ngettext(
        "You signed in with a recovery code. %(count)s is left.",
        "You signed in with a recovery code. %(count)s are left.",
        count,
    ) % {"count": count}


@require_POST
@staff_with()
def start(request):
    """Make a key, for whoever has no second factor yet."""
    if second_factor.is_enabled(request.user):
        return redirect("console:me")
    second_factor.start_set_up(request.user)
    return redirect("console:second-factor")


@form_page
@staff_with()
def set_up(request):
    """The key, to scan or to type; it counts once the app has shown that it has it."""
    authenticator = second_factor.get_unconfirmed(request.user)
    if authenticator is None:
        return redirect("console:me")
    form = FirstCodeForm(request.user, sent(request))
    if form.is_valid():
        request.session.cycle_key()
        django_otp.login(request, form.device)
        return show_new_codes(request)
    address = authenticator.config_url
    return render(
        request,
        "console/second_factor.html",
        {
            "form": form,
            "key": second_factor.format_key(authenticator),
            "address": address,
            "qr_code": qr_code(address),
        },
    )


@form_page
@staff_with()
def recovery_codes(request):
    """New recovery codes, for whoever gives a code again."""
    return with_code(request, "console/recovery_codes.html", show_new_codes)


@form_page
@staff_with()
def turn_off(request):
    """No second factor any more, for whoever gives a code again."""
    return with_code(request, "console/second_factor_off.html", forget)


def with_code(request, template, act):
    """Do it once a code is given: who finds an open browser has none."""
    if not second_factor.is_enabled(request.user):
        return redirect("console:me")
    form = CodeForm(request.user, sent(request))
    if form.is_valid():
        return act(request)
    return render(request, template, {"form": form})


def show_new_codes(request):
    """The page that shows the codes, once: nothing but its own answer carries them."""
    codes = second_factor.create_recovery_codes(request.user)
    text = "\n".join(f"{code[:4]}-{code[4:]}" for code in codes)
    return render(request, "console/recovery_codes_shown.html", {"codes": text})


def forget(request):
    second_factor.disable(request.user)
    add_success(request, _("Your second factor is off. Your password alone signs you in."))
    return redirect("console:me")


def qr_code(text) -> str:
    """A QR code of the text, as the address of an image."""
    code = QRCode(image_factory=SvgPathFillImage)
    code.add_data(text)
    svg = code.make_image().to_string(encoding="utf-8")
    return f"data:image/svg+xml;base64,{b64encode(svg).decode()}"
