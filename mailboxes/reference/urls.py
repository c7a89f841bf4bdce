"""URL configuration of the API reference and Swagger UI."""

from django.urls import path
from django.views.decorators.http import require_safe
from drf_spectacular.views import SpectacularSwaggerSplitView
from rest_framework.authentication import SessionAuthentication

from mailboxes.reference import views

app_name = "reference"

urlpatterns = [
    path("docs/", views.reference, name="reference"),
    path("docs/connect/", views.connect, name="connect"),
    path(
        "docs/try/",
        require_safe(
            SpectacularSwaggerSplitView.as_view(
                authentication_classes=[SessionAuthentication],  # the page shows the signed-in user
                throttle_classes=[],
                template_name="reference/try.html",
            )
        ),
        name="try",
    ),
]
