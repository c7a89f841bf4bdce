"""Declarations of the Django admin. Rows change by methods of their models."""

from django.contrib import admin
from django_tasks_db.models import DBTaskResult

from mailboxes.admin import customers, mailboxes, messages, staff  # noqa: F401  registers pages

admin.site.unregister(DBTaskResult)  # it shows what tasks were given; see the console
