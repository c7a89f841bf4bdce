"""The staff's pages."""

from django.contrib.auth.views import LogoutView
from django.urls import path

from mailboxes.console.views.batches import batch_list, undo
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

app_name = "console"

urlpatterns = [
    path("", mailbox_list, name="mailbox-list"),
    path("changes/", batch_list, name="batch-list"),
    path("changes/<uuid:uuid>/undo/", undo, name="undo"),
    path("sign-in/", sign_in, name="sign-in"),
    path("sign-in/code/", sign_in_code, name="sign-in-code"),
    path("sign-out/", LogoutView.as_view(), name="sign-out"),
    path("me/", me, name="me"),
    path("me/password/", password, name="password"),
    path("me/second-factor/", set_up, name="second-factor"),
    path("me/second-factor/start/", start, name="second-factor-start"),
    path("me/second-factor/recovery-codes/", recovery_codes, name="recovery-codes"),
    path("me/second-factor/off/", turn_off, name="second-factor-off"),
]
