"""Declarations of the Django admin. Rows change by methods of their models."""

from mailboxes.admin import customers, mailboxes, staff  # noqa: F401  registers their pages
