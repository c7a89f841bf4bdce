"""Which address belongs to whom."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView


def by_the_console(page):
    """Leads to the console's page, with the query: the admin has no door of its own."""
    return RedirectView.as_view(pattern_name=f"console:{page}", query_string=True)


handler400 = "mailboxes.console.views.errors.bad_request"
handler403 = "mailboxes.console.views.errors.permission_denied"
handler500 = "mailboxes.console.views.errors.server_error"

urlpatterns = [
    path("", include("mailboxes.api.urls")),
    path("", include("mailboxes.console.urls")),
    path("", include("mailboxes.engines.urls")),
    path("", include("mailboxes.reference.urls")),
    path("admin/login/", by_the_console("sign-in")),
    path("admin/password_change/", by_the_console("password")),
    path("admin/", admin.site.urls),
]
