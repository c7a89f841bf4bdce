"""Declarations of the Django admin. Rows change by methods of their models."""

from django.contrib import admin
from django_tasks_db.models import DBTaskResult

from mailboxes.admin import customers, mailboxes, messages, sounds, staff  # noqa: F401  registers pages

# It would show the arguments of tasks. The console lists failed tasks.
admin.site.unregister(DBTaskResult)
