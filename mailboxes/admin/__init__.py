"""Declarations of the Django admin. Rows change by methods of their models."""

from django.contrib import admin

from mailboxes.admin import customers, mailboxes, staff  # noqa: F401  registers their pages

admin.site.site_title = admin.site.site_header = "Mailbox service"
admin.site.index_title = "Administration"
admin.site.enable_nav_sidebar = False  # the table of mailboxes needs the width
