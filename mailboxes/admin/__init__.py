"""Declarations of the Django admin. Rows change by methods of their models."""

from mailboxes.admin import customers, mailboxes, messages, staff  # noqa: F401  registers pages
