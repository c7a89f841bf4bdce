"""Middleware for the second factor of staff."""

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.shortcuts import resolve_url
from django.urls import reverse

from mailboxes.staff import second_factor


class SecondFactor:
    """Redirect users who have a second factor, but have given only their password."""

    exempt_pages = ["console:sign-in", "console:sign-in-code", "console:sign-out"]

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        if not second_factor.needs_code(request.user):
            return self.get_response(request)
        if request.path in map(reverse, self.exempt_pages):
            return self.get_response(request)
        home = resolve_url(settings.LOGIN_REDIRECT_URL)
        next_page = request.get_full_path() if request.method == "GET" else home
        return redirect_to_login(next_page, reverse("console:sign-in-code"))
