"""URL configuration of the API reference."""

from django.urls import path

from mailboxes.reference import views

app_name = "reference"

urlpatterns = [
    path("docs/", views.reference, name="reference"),
    path("docs/connect/", views.connect, name="connect"),
    path("docs/try/", views.try_commands, name="try"),
]
