"""The site of Django admin."""

from django.contrib.admin import AdminSite


class AdministratorSite(AdminSite):
    """Open the admin to superusers only: others do their work in the console."""

    site_title = site_header = "Mailbox service"
    index_title = "Administration"
    enable_nav_sidebar = False  # the table of mailboxes needs the width

    def has_permission(self, request):
        return super().has_permission(request) and request.user.is_superuser

    def get_urls(self):
        """Leave out the redirect to a row's public page, which no row has."""
        return [url for url in super().get_urls() if getattr(url, "name", "") != "view_on_site"]
