"""Middleware that sends security headers."""

from django.conf import settings


class AnswerHeaders:
    """Sends the headers of the ANSWER_HEADERS setting, for which Django has none of its own.

    A cache on the way knows no X-Auth-Password, and may keep what says nothing of caching.
    """

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        response = self.get_response(request)
        for name, value in settings.ANSWER_HEADERS.items():
            response.headers.setdefault(name, value)
        return response


class ContentSecurityPolicy:
    """Sends the policy of the SECURE_CSP setting, as Django 6 does by itself."""

    def __init__(self, get_response):
        self.get_response = get_response
        self.policy = "; ".join(
            f"{directive} {' '.join(sources)}" for directive, sources in settings.SECURE_CSP.items()
        )

    def __call__(self, request):
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", self.policy)
        return response
