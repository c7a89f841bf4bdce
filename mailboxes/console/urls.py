"""The staff's pages."""

from django.contrib.auth.views import LogoutView
from django.urls import path, register_converter
from django.urls.converters import StringConverter

from mailboxes.console.views import imports
from mailboxes.console.views.accounts import (
    account,
    account_add,
    account_edit,
    account_list,
    account_names,
    account_reactivate,
    account_suspend,
)
from mailboxes.console.views.batches import batch_list, undo
from mailboxes.console.views.credentials import (
    credential_edit,
    credential_issue,
    credential_revoke,
)
from mailboxes.console.views.export import export
from mailboxes.console.views.mailbox_list import mailbox_list
from mailboxes.console.views.me import me, password
from mailboxes.console.views.second_factor import (
    recovery_codes,
    set_up,
    sign_in_code,
    start,
    turn_off,
)
from mailboxes.console.views.sign_in import sign_in
from mailboxes.validators import ACCOUNT_NAME_TEXT

app_name = "console"


class AccountName(StringConverter):
    regex = ACCOUNT_NAME_TEXT


register_converter(AccountName, "account")

urlpatterns = [
    path("", mailbox_list, name="mailbox-list"),
    path("accounts/", account_list, name="account-list"),
    # An account may be called `new` or `names`, but none is called `-`.
    path("accounts/-/new/", account_add, name="account-add"),
    path("accounts/-/names/", account_names, name="account-names"),
    path("accounts/<account:name>/", account, name="account"),
    path("accounts/<account:name>/customers/", account_list, name="customer-list"),
    path("accounts/<account:name>/edit/", account_edit, name="account-edit"),
    path("accounts/<account:name>/suspend/", account_suspend, name="account-suspend"),
    path("accounts/<account:name>/reactivate/", account_reactivate, name="account-reactivate"),
    path("accounts/<account:name>/credentials/new/", credential_issue, name="credential-issue"),
    path(
        "accounts/<account:name>/credentials/<int:pk>/edit/",
        credential_edit,
        name="credential-edit",
    ),
    path(
        "accounts/<account:name>/credentials/<int:pk>/revoke/",
        credential_revoke,
        name="credential-revoke",
    ),
    path("changes/", batch_list, name="batch-list"),
    path("changes/<uuid:uuid>/undo/", undo, name="undo"),
    path("sign-in/", sign_in, name="sign-in"),
    path("sign-in/code/", sign_in_code, name="sign-in-code"),
    path("export/", export, name="export"),
    path("import/", imports.upload, name="import"),
    path("import/template.csv", imports.template, name="import-template"),
    path("import/<uuid:uuid>/", imports.preview, name="import-preview"),
    path("import/<uuid:uuid>/check/", imports.check, name="import-check"),
    path("import/<uuid:uuid>/write/", imports.write, name="import-write"),
    path("import/<uuid:uuid>/discard/", imports.discard, name="import-discard"),
    path("import/<uuid:uuid>/errors.csv", imports.errors, name="import-errors"),
    path("sign-out/", LogoutView.as_view(), name="sign-out"),
    path("me/", me, name="me"),
    path("me/password/", password, name="password"),
    path("me/second-factor/", set_up, name="second-factor"),
    path("me/second-factor/start/", start, name="second-factor-start"),
    path("me/second-factor/recovery-codes/", recovery_codes, name="recovery-codes"),
    path("me/second-factor/off/", turn_off, name="second-factor-off"),
]
