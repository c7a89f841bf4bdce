"""The site of Django admin."""

from functools import reduce
from operator import or_

from django.contrib.admin import AdminSite
from django.db.models import Q

from mailboxes.staff import log_texts


class AdministratorSite(AdminSite):
    """Open the admin to superusers only: others do their work in the console."""

    site_title = site_header = "Mailbox service"
    index_title = "Administration"
    enable_nav_sidebar = False  # the table of mailboxes needs the width

    def has_permission(self, request):
        return super().has_permission(request) and request.user.is_superuser

    def get_log_entries(self, request):
        """Return the changes for "Recent actions", without what the user only saw or heard."""
        texts = [log_texts.REVEALED, log_texts.EXPORTED]
        texts += [log_texts.HEARD, log_texts.READ, log_texts.DOWNLOADED]
        accesses = reduce(or_, [Q(change_message__startswith=text) for text in texts])
        return super().get_log_entries(request).exclude(accesses)

    def get_urls(self):
        """Leave out the redirect to a row's public page, which no row has."""
        return [url for url in super().get_urls() if getattr(url, "name", "") != "view_on_site"]
