"""Checks of the data when the server starts, and in `migrate` and `check`."""

from collections.abc import Iterator

from django.conf import settings
from django.core import checks
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from mailboxes.models import AuthenticatorKey, Mailbox, RecoveryCode
from mailboxes.models.encrypted import EncryptedRow

# Model, name of its texts, and consequence if they cannot be decrypted, by the warning's id.
ENCRYPTED: dict[str, tuple[type[EncryptedRow], str, str]] = {
    "mailboxes.W001": (Mailbox, "pass codes", "these mailboxes are shown without a pass code"),
    "mailboxes.W002": (AuthenticatorKey, "authenticator keys", "codes of these apps are refused"),
    "mailboxes.W003": (RecoveryCode, "recovery codes", "they are refused"),
}


@checks.register(checks.Tags.database)
def check_pass_code_keys(databases=None, **kwargs) -> list[checks.Warning]:
    """Warn of encrypted texts that no key decrypts: how many of each kind, by key id."""
    return list(find_missing_keys()) if databases else []


def find_missing_keys() -> Iterator[checks.Warning]:
    for warning_id, (model, name, consequence) in ENCRYPTED.items():
        try:
            counts = model.counts_by_key()
        except DatabaseError:
            return  # the database is down, or has no such table yet: other code reports it
        missing = settings.PASS_CODE_KEYS.find_missing(counts)
        if missing:
            decrypted = counts.total() - sum(counts[key] for key in missing)
            others = ", ".join(f"{counts[key]} with key {key}" for key in missing)
            yield checks.Warning(
                f"PASS_CODE_KEYS decrypts {decrypted} of {counts.total()} {name}. "
                f"The keys of the others are missing: {others}.",
                hint=f"Add the missing keys. Until then {consequence}.",
                id=warning_id,
            )


def has_all_migrations() -> bool:
    """Return True if every migration is applied. Raises DatabaseError."""
    executor = MigrationExecutor(connection)
    return not executor.migration_plan(executor.loader.graph.leaf_nodes())
