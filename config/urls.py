"""Which address belongs to whom."""

from django.contrib import admin
from django.urls import include, path

from mailboxes import health

urlpatterns = [
    path("", include("mailboxes.api.urls")),
    path("", include("mailboxes.console.urls")),
    path("", include("mailboxes.reference.urls")),
    path("admin/", admin.site.urls),
    path("healthz", health.healthz),
    path("readyz", health.readyz),
]
