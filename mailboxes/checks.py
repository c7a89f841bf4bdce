"""What is asked of the data before it is served; `manage.py check --database default` and `migrate` ask it too."""

from django.conf import settings
from django.core import checks
from django.db import DatabaseError

from mailboxes.models import Mailbox


@checks.register(checks.Tags.database)
def keys_open_pass_codes(databases=None, **kwargs) -> list[checks.Warning]:
    """A warning, and how many by the key's name, where pass codes were sealed with keys that are not at hand."""
    if not databases:
        return []
    try:
        counts = Mailbox.counts_by_key()
    except DatabaseError:
        return []  # away, or without tables yet: whoever needs them says so
    lacking = settings.PASS_CODE_KEYS.lacks(counts)
    if not lacking:
        return []
    told = ", ".join(f"{counts[key]} under key {key}" for key in lacking)
    return [
        checks.Warning(
            f"PASS_CODE_KEYS opens {counts.total() - sum(counts[key] for key in lacking)} of "
            f"{counts.total()} pass codes. It lacks the keys of the others: {told}.",
            hint="List those keys too; what no key opens is shown as none.",
            id="mailboxes.W001",
        )
    ]
