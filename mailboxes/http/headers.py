"""Middleware that sends security headers."""

from django.conf import settings


class AnswerHeaders:
    """Middleware that sends the headers of the ANSWER_HEADERS setting.

    They include Cache-Control: a cache that ignores X-Auth-Password could store an answer without it.
    """

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        response = self.get_response(request)
        for name, value in settings.ANSWER_HEADERS.items():
            response.headers.setdefault(name, value)
        return response


class ContentSecurityPolicy:
    """Middleware that sends the policy of the SECURE_CSP setting. Django 6 has its own."""

    def __init__(self, get_response):
        self.get_response = get_response
        self.policy = "; ".join(
            f"{directive} {' '.join(sources)}" for directive, sources in settings.SECURE_CSP.items()
        )

    def __call__(self, request):
        response = self.get_response(request)
        response.headers.setdefault("Content-Security-Policy", self.policy)
        return response
