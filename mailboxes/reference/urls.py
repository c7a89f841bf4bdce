"""The API reference."""

from django.urls import path

from mailboxes.reference import views

app_name = "reference"

urlpatterns = [path("docs/", views.reference, name="reference")]
