"""Authentication by an account's credential, for that account or one of its customers."""

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.permissions import BasePermission

from mailboxes.models import Account, ApiCredential
from mailboxes.monitoring import logs

CHALLENGE = 'Bearer realm="mailboxes"'


class CredentialAuthentication(BaseAuthentication):
    """Authenticate a call by its X-Auth headers, or by its bearer token.

    `request.user` becomes the credential's account, `request.auth` the credential.
    """

    def __init__(self, **combined_query):
        self.combined_query = combined_query  # for ApiCredential.objects.authenticate

    def authenticate(self, request):
        credential = self.find_credential(request)
        if credential is None:
            raise AuthenticationFailed
        return credential.account, credential

    def authenticate_header(self, request):
        return CHALLENGE

    def find_credential(self, request) -> ApiCredential | None:
        parts = self.parse_headers(request)
        return ApiCredential.objects.authenticate(**parts, **self.combined_query) if parts else None

    @staticmethod
    def parse_headers(request) -> dict[str, str]:
        """Return the secret and, with X-Auth-Password, the names of account and credential.

        If X-Auth-Password is sent, Authorization is ignored.
        """
        headers = request.META  # faster: Django builds `request.headers` for each request
        if "HTTP_X_AUTH_PASSWORD" in headers:
            return {
                "secret": headers["HTTP_X_AUTH_PASSWORD"],
                "account_name": headers.get("HTTP_X_AUTH_RESELLER", ""),
                "name": headers.get("HTTP_X_AUTH_USER", ""),
            }
        scheme, _, secret = headers.get("HTTP_AUTHORIZATION", "").partition(" ")
        return {"secret": secret.strip()} if scheme.lower() == "bearer" else {}


def authorize(request) -> None:
    """Set `request.user` to the account to act on. Raises PermissionDenied.

    Call it after the throttle, which counts refused calls too.
    """
    if not request.auth.allows(request.META["REMOTE_ADDR"]):
        logs.refusal.set("network")
        raise PermissionDenied
    if customer := request.META.get("HTTP_X_AUTH_FOR", "").strip(" \t"):
        try:
            request.user = request.user.get_customer(customer)
        except Account.DoesNotExist:
            logs.refusal.set("not-a-customer")
            raise PermissionDenied from None
    request.auth.mark_used()


class HasCredential(BasePermission):
    """Allow only calls with a valid credential; the default for every API view."""

    def has_permission(self, request, view):
        return isinstance(request.auth, ApiCredential)
