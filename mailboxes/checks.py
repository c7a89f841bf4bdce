"""Checks of the data when the server starts, and in `migrate` and `check`."""

from django.conf import settings
from django.core import checks
from django.db import DatabaseError

from mailboxes.models import Mailbox


@checks.register(checks.Tags.database)
def check_pass_code_keys(databases=None, **kwargs) -> list[checks.Warning]:
    """Warn of pass codes that no key decrypts, with their number for each key id."""
    if not databases:
        return []
    try:
        counts = Mailbox.counts_by_key()
    except DatabaseError:
        return []  # the database is down, or has no tables yet: other code reports it
    missing = settings.PASS_CODE_KEYS.find_missing(counts)
    if not missing:
        return []
    decrypted = counts.total() - sum(counts[key] for key in missing)
    others = ", ".join(f"{counts[key]} with key {key}" for key in missing)
    return [
        checks.Warning(
            f"PASS_CODE_KEYS decrypts {decrypted} of {counts.total()} pass codes. "
            f"The keys of the others are missing: {others}.",
            hint="Add the missing keys. Until then these mailboxes are shown without a pass code.",
            id="mailboxes.W001",
        )
    ]
