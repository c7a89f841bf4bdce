"""Middleware that asks staff for their second factor."""

from django.conf import settings
from django.contrib.auth.views import redirect_to_login
from django.shortcuts import resolve_url
from django.urls import reverse

from mailboxes.staff import second_factor


class SecondFactor:
    """Shows no page to whoever has signed in with the password alone, and has a second factor too."""

    doors = ["console:sign-in", "console:sign-in-code", "console:sign-out"]

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        if not second_factor.is_owed(request.user):
            return self.get_response(request)
        if request.path in map(reverse, self.doors):
            return self.get_response(request)
        home = resolve_url(settings.LOGIN_REDIRECT_URL)
        asked = request.get_full_path() if request.method == "GET" else home
        return redirect_to_login(asked, reverse("console:sign-in-code"))
