"""Sign-in, and the page after too many wrong passwords."""

from math import ceil

from axes.models import AccessAttempt
from django.conf import settings
from django.contrib.auth.forms import AuthenticationForm
from django.contrib.auth.views import LoginView
from django.http import HttpResponseRedirect
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache

from mailboxes.console.access import get_next_page


class SignInForm(AuthenticationForm):
    """Refuse a username that is too long for django-axes to store on PostgreSQL."""

    def clean(self):
        if len(self.cleaned_data.get("username", "")) > self.username_field.max_length:
            raise self.get_invalid_login_error()
        return super().clean()


sign_in = LoginView.as_view(authentication_form=SignInForm)


def sign_in_again(request, context):
    """Answer a sign-in form that failed the CSRF check, for example because of another tab.

    Redirect a user who is signed in already, and show others the form with the reason.
    """
    page = get_next_page(request, settings.LOGIN_REDIRECT_URL)
    username = request.POST.get("username", "")
    if request.user.is_authenticated and username == request.user.get_username():
        return HttpResponseRedirect(page)
    form = SignInForm(request, initial={"username": username})
    context |= {"form": form, "next": page, "is_refused": True}
    return render(request, "registration/login.html", context, status=403)


@never_cache
def locked_out(request, response, credentials):
    """Answer 429, with the time when the lock ends."""
    until = get_lock_end(request, credentials)
    seconds = max(1, ceil((until - timezone.now()).total_seconds()))
    page = render(
        request,
        "registration/locked_out.html",
        {"until": until, "minutes": ceil(seconds / 60)},
        status=429,
    )
    page["Retry-After"] = str(seconds)
    return page


def get_lock_end(request, credentials):
    """Return the time when enough wrong passwords have expired to allow another try."""
    failures = 0
    # django-axes has a row for each user agent, with the time of its last failure.
    for attempt in AccessAttempt.objects.filter(
        username=credentials["username"], ip_address=request.axes_ip_address
    ).order_by("-attempt_time"):
        failures += attempt.failures_since_start
        if failures >= settings.AXES_FAILURE_LIMIT:
            return attempt.attempt_time + settings.AXES_COOLOFF_TIME
    return timezone.now()  # a Manager has just removed the lock
