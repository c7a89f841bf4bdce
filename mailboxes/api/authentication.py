"""Who calls: an account's credential, acting on that account or on one of its customers."""

from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, PermissionDenied
from rest_framework.permissions import BasePermission

from mailboxes.models import Account, ApiCredential
from mailboxes.monitoring import logs


class CredentialAuthentication(BaseAuthentication):
    """Reads the contract's headers. `request.user` becomes the account acted on, `request.auth` the credential."""

    def __init__(self, **extra_columns):
        self.extra_columns = extra_columns  # for ApiCredential.objects.authenticate

    def authenticate(self, request):
        credential = self.credential(request)
        if credential is None:
            raise AuthenticationFailed
        if not credential.allows(request.META["REMOTE_ADDR"]):
            logs.refusal.set("network")
            raise PermissionDenied
        account = credential.account
        try:
            if customer := request.META.get("HTTP_X_AUTH_FOR", "").strip(" \t"):
                account = account.get_customer(customer)
        except Account.DoesNotExist:
            logs.refusal.set("not-a-customer")
            raise PermissionDenied from None
        credential.mark_used()
        return account, credential

    def authenticate_header(self, request):
        return 'Bearer realm="mailboxes"'

    def credential(self, request):
        """The credential that the headers name, or None."""
        shown = self.shown(request)
        return ApiCredential.objects.authenticate(**shown, **self.extra_columns) if shown else None

    @staticmethod
    def shown(request) -> dict[str, str]:
        """The secret that the headers show, and the names, if any. With any X-Auth-Password, Authorization is ignored."""
        headers = request.META  # Django's `headers` are made anew for each call
        if "HTTP_X_AUTH_PASSWORD" in headers:
            return {
                "secret": headers["HTTP_X_AUTH_PASSWORD"],
                "account_name": headers.get("HTTP_X_AUTH_RESELLER", ""),
                "name": headers.get("HTTP_X_AUTH_USER", ""),
            }
        scheme, _, secret = headers.get("HTTP_AUTHORIZATION", "").partition(" ")
        return {"secret": secret.strip()} if scheme.lower() == "bearer" else {}


class HasCredential(BasePermission):
    """Only who showed a good credential; the default for every API view."""

    def has_permission(self, request, view):
        return isinstance(request.auth, ApiCredential)
