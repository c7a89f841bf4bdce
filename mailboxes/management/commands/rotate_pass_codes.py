"""Changes over to a new key: what is sealed with an older one is sealed anew with the first of PASS_CODE_KEYS."""

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

BATCH = 100  # rows of one transaction: on SQLite, all other writers wait for its end
PASSES = 3  # meanwhile writers hold rows, or put back a pass code as an older row of history has it
INTERRUPTED = 130  # a shell's own status of what Ctrl-C has stopped


class Command(BaseCommand):
    help = (
        "Seal anew, with the first of PASS_CODE_KEYS, all that is sealed with an older key. "
        "The service may run meanwhile. Ctrl-C stops it; run again, it goes on."
    )

    def handle(self, *args, **options) -> str:
        keys = settings.PASS_CODE_KEYS
        self.stdout.write(f"In PASS_CODE_KEYS, in this order: {', '.join(keys.key_ids)}.")
        older = remaining()
        self.stdout.write(f"Sealed with an older key: {in_words(older)}.")
        if processes := lagging():
            self.stderr.write(f"To be restarted before a key may be removed:\n{processes}")
        try:
            with tqdm(total=older.total(), unit=" texts", disable=None) as progress:
                for _ in range(PASSES):
                    reencrypt_all(progress)
        except KeyboardInterrupt:
            raise CommandError(
                f"Stopped. Still encrypted with an older key: {in_words(remaining())}. Run it again to go on.",
                returncode=INTERRUPTED,
            ) from None
        for name, key in undecryptable():
            self.stderr.write(f"No key in PASS_CODE_KEYS opens {name} (key {key}).")
        if found := "\n".join(problems()):
            raise CommandError(found)
        return (
            f"Everything is encrypted with the first of PASS_CODE_KEYS, {keys.current}: "
            "those listed behind it may be removed."
        )


def remaining() -> Counter[str]:
    """How many texts are sealed with each other key than the first."""
    counts: Counter[str] = sum(
        (model.counts_by_key() for model in EncryptedRow.encrypted_models()), Counter()
    )
    del counts[settings.PASS_CODE_KEYS.current]
    return counts


def problems() -> Iterator[str]:
    """Say what forbids to remove a key, if anything does, and what to do."""
    # Before the texts are counted: what a process has written that stops now is among them.
    processes = lagging()
    if left := remaining():
        yield f"Still encrypted with an older key: {in_words(left)}."
    if processes:
        yield (
            "Processes still encrypt with another key than the first of PASS_CODE_KEYS, "
            f"{settings.PASS_CODE_KEYS.current}:\n{processes}\n"
            "They have not read the new PASS_CODE_KEYS. Restart them, then run this again; "
            "remove no key before. A process that has ended without saying so, as when it is "
            "killed, is forgotten after three minutes."
        )


def lagging() -> str:
    """Return a line for each running process that encrypts with another key than the first."""
    processes = ServerProcess.objects.lagging()
    return "\n".join(f"  {process}, encrypts with {process.key}" for process in processes)


def in_words(counts: Counter[str]) -> str:
    """How many there are and, where there are any, under which key."""
    told = ", ".join(f"{count} under {key}" for key, count in sorted(counts.items()))
    return f"{counts.total()} ({told})" if told else "0"


def reencrypt_all(progress) -> None:
    """Go through all rows once, some at a time."""
    for model in EncryptedRow.encrypted_models():
        rows = model.encrypted_with_old_keys().order_by("pk")
        some = list(rows.values_list("pk", flat=True)[:BATCH])
        while some:
            begun = monotonic()
            progress.update(reencrypt(rows.filter(pk__in=some)))
            sleep(monotonic() - begun)  # as long for those who wait to write
            some = list(rows.filter(pk__gt=some[-1]).values_list("pk", flat=True)[:BATCH])


@transaction.atomic
def reencrypt(rows) -> int:
    """Seal these rows anew, and say how many. Those that a writer holds, or no key opens, are left."""
    # Waiting for a writer, with rows held ourselves, could make both wait for ever.
    return sum(was_reencrypted(row) for row in rows.select_for_update(skip_locked=True))


def was_reencrypted(row: EncryptedRow) -> bool:
    try:
        return row.reencrypt()
    except UnknownKeyError:
        return False


def undecryptable() -> Iterator[tuple[str, str]]:
    """What to call each row whose text no key opens, and its key: nothing of the text itself."""
    for model in EncryptedRow.encrypted_models():
        for row in model.encrypted_with_old_keys().iterator():
            try:
                row.decrypt()
            except UnknownKeyError as error:
                yield f"{model._meta.verbose_name} {getattr(row, 'uuid', row.pk)}", error.key
