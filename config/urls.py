"""Which address belongs to whom."""

from django.contrib import admin
from django.urls import include, path

urlpatterns = [
    path("", include("mailboxes.api.urls")),
    path("", include("mailboxes.console.urls")),
    path("", include("mailboxes.reference.urls")),
    path("admin/", admin.site.urls),
]
