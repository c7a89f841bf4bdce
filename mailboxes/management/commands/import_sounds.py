"""Take the files of SOUNDS_DIR in as sounds of an account."""

from pathlib import Path
from uuid import UUID

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError

from mailboxes import contract, validators
from mailboxes.audio.decoder import decoder
from mailboxes.audio.decoding import UnusableAudioError
from mailboxes.models import Account, Mailbox, Sound


class Command(BaseCommand):
    help = (
        "Take each file UUID.wav of a folder in as a sound of an account, with the same UUID, so "
        "that the mailboxes that use it need no change. A sound gets the name of such a mailbox. "
        "Files that are here already are skipped, so it can be run again. The files stay."
    )

    def add_arguments(self, parser):
        parser.add_argument("account", metavar="ACCOUNT", help="the account's name")
        parser.add_argument(
            "folder", metavar="FOLDER", type=Path, help="the folder, such as that of SOUNDS_DIR"
        )
        parser.add_argument(
            "--shared", action="store_true", help="let the account's customers use them too"
        )
        parser.add_argument("--dry-run", action="store_true", help="only say what would be done")

    def handle(self, *args, folder, account, shared, dry_run, **options) -> str:
        try:
            owner = Account.objects.get(name=account)
            files = sorted(file for file in folder.iterdir() if file.suffix == ".wav")
        except Account.DoesNotExist:
            raise CommandError(f"There is no account “{account}”.") from None
        except OSError as error:
            raise CommandError(f"The folder cannot be read: {error}.") from None
        taken = skipped = refused = 0
        for file in files:
            try:
                uuid = validators.parse_uuid(file.stem)
                if Sound.objects.filter(pk=uuid).exists():
                    skipped += 1
                    continue
                self.take(owner, file, uuid, shared, dry_run)
                taken += 1
            except (ValidationError, UnusableAudioError, OSError) as error:
                refused += 1
                text = " ".join(error.messages) if isinstance(error, ValidationError) else error
                self.stderr.write(f"{file.name}: {text}")
        done = "would be taken in" if dry_run else "taken in"
        summary = f"{taken} files {done}, {skipped} were here already, {refused} refused."
        if refused:
            raise CommandError(summary)
        return summary

    def take(self, owner: Account, file: Path, uuid: UUID, shared: bool, dry_run: bool) -> None:
        """Store the sound. Raises ValidationError, UnusableAudioError, OSError."""
        if file.stat().st_size > contract.MAX_RECORDING_BYTES:
            raise UnusableAudioError("The file has more than 20 MiB.")
        greeting = decoder.decode_greeting(file.read_bytes())
        # Not of other accounts, whose names the owner must not see.
        users = Mailbox.objects.active().filter(account__in=Account.objects.tree(owner))
        user = users.filter(greeting=uuid).order_by("created_at").first()
        name = user.name if user else str(uuid)
        if not dry_run:
            Sound.create(owner, greeting, uuid=uuid, name=name, shared=shared, file_name=file.name)
            self.stdout.write(f"{file.name}: {name}")
