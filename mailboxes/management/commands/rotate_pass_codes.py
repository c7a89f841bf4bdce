"""Changes over to a new key: what is sealed with an older one is sealed anew with the first of PASS_CODE_KEYS."""

from collections.abc import Iterator
from time import monotonic, sleep

from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from tqdm import tqdm

from mailboxes.keyring import UnknownKeyError
from mailboxes.models import Sealed

BATCH = 100  # rows of one transaction: on SQLite, all other writers wait for its end
PASSES = 3  # meanwhile writers hold rows, or put back a pass code as an older row of history has it
INTERRUPTED = 130  # a shell's own status of what Ctrl-C has stopped


class Command(BaseCommand):
    help = (
        "Seal anew, with the first of PASS_CODE_KEYS, all that is sealed with an older key. "
        "The service may run meanwhile. Ctrl-C stops it; run again, it goes on."
    )

    def handle(self, *args, **options) -> str:
        count = remaining()
        self.stdout.write(f"Sealed with an older key: {count}.")
        try:
            with tqdm(total=count, unit=" texts", disable=None) as progress:
                for _ in range(PASSES):
                    reseal_all(progress)
        except KeyboardInterrupt:
            raise CommandError(
                f"Stopped. Still sealed with an older key: {remaining()}. Run it again to go on.",
                returncode=INTERRUPTED,
            ) from None
        for name in unopened():
            self.stderr.write(f"No key in PASS_CODE_KEYS opens {name}.")
        if left := remaining():
            raise CommandError(f"Still sealed with an older key: {left}.")
        return (
            "All is sealed with the first of PASS_CODE_KEYS: those listed behind it may be removed."
        )


def remaining() -> int:
    """How many texts are sealed with another key than the first."""
    return sum(model.under_older_keys().count() for model in Sealed.kinds())


def reseal_all(progress) -> None:
    """Go through all rows once, some at a time."""
    for model in Sealed.kinds():
        rows = model.under_older_keys().order_by("pk")
        some = list(rows.values_list("pk", flat=True)[:BATCH])
        while some:
            begun = monotonic()
            progress.update(reseal(rows.filter(pk__in=some)))
            sleep(monotonic() - begun)  # as long for those who wait to write
            some = list(rows.filter(pk__gt=some[-1]).values_list("pk", flat=True)[:BATCH])


@transaction.atomic
def reseal(rows) -> int:
    """Seal these rows anew, and say how many. Those that a writer holds, or no key opens, are left."""
    # Waiting for a writer, with rows held ourselves, could make both wait for ever.
    return sum(was_resealed(row) for row in rows.select_for_update(skip_locked=True))


def was_resealed(row: Sealed) -> bool:
    try:
        return row.reseal()
    except UnknownKeyError:
        return False


def unopened() -> Iterator[str]:
    """What to call each row whose text no key opens: nothing of the text itself."""
    for model in Sealed.kinds():
        for row in model.under_older_keys().iterator():
            try:
                row.open()
            except UnknownKeyError:
                yield f"{model._meta.verbose_name} {getattr(row, 'uuid', row.pk)}"
