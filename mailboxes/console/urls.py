"""The staff's pages."""

from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path

from mailboxes.console.views.batches import batch_list, undo
from mailboxes.console.views.mailbox_list import mailbox_list

app_name = "console"

urlpatterns = [
    path("", mailbox_list, name="mailbox-list"),
    path("changes/", batch_list, name="batch-list"),
    path("changes/<uuid:uuid>/undo/", undo, name="undo"),
    path("sign-in/", LoginView.as_view(), name="sign-in"),
    path("sign-out/", LogoutView.as_view(), name="sign-out"),
]
