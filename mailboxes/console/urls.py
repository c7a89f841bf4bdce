"""The staff's pages."""

from django.contrib.auth.views import LoginView, LogoutView
from django.urls import path

from mailboxes.console import views

app_name = "console"

urlpatterns = [
    path("", views.mailbox_list, name="mailbox-list"),
    path("sign-in/", LoginView.as_view(), name="sign-in"),
    path("sign-out/", LogoutView.as_view(), name="sign-out"),
]
