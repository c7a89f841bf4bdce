"""Re-encrypt with the first of PASS_CODE_KEYS all texts encrypted with another key."""

from collections import Counter
from collections.abc import Iterator
from time import monotonic, sleep

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from tqdm import tqdm

from mailboxes.encryption import UnknownKeyError
from mailboxes.models import ServerProcess
from mailboxes.models.encrypted import EncryptedRow

BATCH = 100  # rows in one transaction: on SQLite, all other writers wait for its end
# Writers may lock rows, or restore a pass code from an older history row, during a pass.
PASSES = 3
INTERRUPTED = 130  # the exit status of a program that Ctrl-C has stopped


class Command(BaseCommand):
    help = (
        "Encrypt with the first of PASS_CODE_KEYS everything that is encrypted with an older key. "
        "The service may run meanwhile. Ctrl-C stops it; run it again to continue."
    )

    def handle(self, *args, **options) -> str:
        keys = settings.PASS_CODE_KEYS
        self.stdout.write(f"Keys in PASS_CODE_KEYS, in this order: {', '.join(keys.key_ids)}.")
        remaining = count_remaining()
        self.stdout.write(f"Encrypted with an older key: {format_counts(remaining)}.")
        if processes := list_lagging():
            self.stderr.write(f"Restart these processes before you remove a key:\n{processes}")
        try:
            with tqdm(total=remaining.total(), unit=" texts", disable=None) as progress:
                for _ in range(PASSES):
                    reencrypt_all(progress)
        except KeyboardInterrupt:
            raise CommandError(
                "Stopped. Still encrypted with an older key: "
                f"{format_counts(count_remaining())}. Run it again to continue.",
                returncode=INTERRUPTED,
            ) from None
        for name, key in find_undecryptable():
            self.stderr.write(f"No key in PASS_CODE_KEYS can decrypt {name} (key {key}).")
        if problems := "\n".join(find_problems()):
            raise CommandError(problems)
        return (
            f"Everything is encrypted with the first of PASS_CODE_KEYS, {keys.current}. "
            "You can remove the keys after it."
        )


def count_remaining() -> Counter[str]:
    """Return how many texts are encrypted with each key, except for the first."""
    counts: Counter[str] = sum(
        (model.counts_by_key() for model in EncryptedRow.encrypted_models()), Counter()
    )
    del counts[settings.PASS_CODE_KEYS.current]
    return counts


def find_problems() -> Iterator[str]:
    # Before the texts are counted, so that texts of a process that stops now are counted too.
    processes = list_lagging()
    if remaining := count_remaining():
        yield f"Still encrypted with an older key: {format_counts(remaining)}."
    if processes:
        yield (
            "These processes still encrypt with a key other than the first of PASS_CODE_KEYS, "
            f"{settings.PASS_CODE_KEYS.current}:\n{processes}\n"
            "They have not read the new PASS_CODE_KEYS. Restart them and run this again before "
            "you remove a key. A process that was killed is listed for three more minutes."
        )


def list_lagging() -> str:
    processes = ServerProcess.objects.lagging()
    return "\n".join(f"  {process}, encrypts with {process.key}" for process in processes)


def format_counts(counts: Counter[str]) -> str:
    by_key = ", ".join(f"{count} with {key}" for key, count in sorted(counts.items()))
    return f"{counts.total()} ({by_key})" if by_key else "0"


def reencrypt_all(progress) -> None:
    for model in EncryptedRow.encrypted_models():
        rows = model.encrypted_with_old_keys().order_by("pk")
        batch = list(rows.values_list("pk", flat=True)[:BATCH])
        while batch:
            start = monotonic()
            progress.update(reencrypt_batch(rows.filter(pk__in=batch)))
            sleep(monotonic() - start)  # gives other writers as much time
            batch = list(rows.filter(pk__gt=batch[-1]).values_list("pk", flat=True)[:BATCH])


@transaction.atomic
def reencrypt_batch(rows) -> int:
    """Re-encrypt rows, and return their number. Skips locked and undecryptable ones."""
    # Waiting for another writer while we have rows locked could cause a deadlock.
    return sum(try_reencrypt(row) for row in rows.select_for_update(skip_locked=True))


def try_reencrypt(row: EncryptedRow) -> bool:
    try:
        return row.reencrypt()
    except UnknownKeyError:
        return False


def find_undecryptable() -> Iterator[tuple[str, str]]:
    """Yield the name and key id of each row whose text cannot be decrypted."""
    for model in EncryptedRow.encrypted_models():
        for row in model.encrypted_with_old_keys().iterator():
            try:
                row.decrypt()
            except UnknownKeyError as error:
                yield f"{model._meta.verbose_name} {getattr(row, 'uuid', row.pk)}", error.key
