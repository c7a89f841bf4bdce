"""Issue a credential for the API or for a telephone engine, and print its secret once."""

import json
from contextlib import contextmanager
from datetime import UTC, date, datetime, time

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from mailboxes.models import Account, ApiCredential

EVERY_ACCOUNT = "-"  # too short for an account's name


class Command(BaseCommand):
    help = (
        "Issue a credential for the API, or for a telephone engine. "
        "The output has its secret, which is never shown again."
    )

    def add_arguments(self, parser):
        parser.add_argument(
            "account",
            metavar="ACCOUNT",
            help=f"the account's name; with --engine, {EVERY_ACCOUNT} is for every account",
        )
        parser.add_argument("user", metavar="USER", help="a name for the credential")
        parser.add_argument(
            "--create-account", action="store_true", help="create the account if it does not exist"
        )
        parser.add_argument(
            "--engine",
            action="store_true",
            help="for Asterisk or FreeSWITCH, to look up the mailboxes of the account and its customers",
        )
        parser.add_argument(
            "--sends-mail",
            action="store_true",
            help="with --engine: it mails messages itself, so this service does not",
        )
        parser.add_argument(
            "--networks",
            default="",
            help="networks that calls may come from, such as 192.0.2.0/24,2001:db8::/32 (default: all)",
        )
        parser.add_argument(
            "--expires",
            metavar="2027-01-31",
            help="its last day, to the end of that day in UTC, or a moment such as "
            "2027-01-31T12:00+01:00, in UTC unless it says otherwise (default: never)",
        )
        parser.add_argument(
            "--json", action="store_true", dest="as_json", help="print one JSON object"
        )

    # BaseCommand prints what is returned after the commit: no secret is shown unless it was saved.
    @transaction.atomic
    def handle(
        self,
        *args,
        account,
        user,
        create_account,
        engine,
        sends_mail,
        networks,
        expires,
        as_json,
        **options,
    ) -> str:
        for_all = engine and account == EVERY_ACCOUNT
        account = None if for_all else get_account(account, create_account)
        expires_at = parse_expiry(expires) if expires is not None else None
        options = {
            "name": "USER",
            "networks": "--networks",
            "expires_at": "--expires",
            "sends_mail": "--sends-mail",
        }
        with command_errors(**options):
            credential, secret = ApiCredential.objects.issue(
                account, user, networks, expires_at, is_engine=engine, sends_mail=sends_mail
            )
        headers = credential.login_fields(secret)
        if as_json:
            return json.dumps(headers)
        return "\n".join(f"{name}: {value}" for name, value in headers.items())


@contextmanager
def command_errors(**arguments):
    """Convert a ValidationError to a CommandError that names the argument of each field."""
    try:
        yield
    except ValidationError as error:
        raise CommandError(
            "\n".join(
                f"{arguments[field]}: {message}"
                for field, messages in error.message_dict.items()
                for message in messages
            )
        ) from None


def get_account(name, create):
    """Return the account; create a missing one if `create` is true. Raises CommandError."""
    account = Account(name=name)
    with command_errors(name="ACCOUNT"):
        account.clean_fields()
    try:
        return Account.objects.get(name=name)
    except Account.DoesNotExist:
        if not create:
            raise CommandError(
                f"There is no account {name}: name one that exists, or add --create-account to create it."
            ) from None
    account.save()
    return account


def parse_expiry(text) -> datetime:
    """Parse an ISO date, which means its last moment, or an ISO date and time.

    Raises CommandError.
    """
    try:
        return parse_day_or_moment(text)
    except (ValueError, OverflowError):
        raise CommandError(
            "--expires: Write a date as 2027-01-31, or a date and time as 2027-01-31T12:00+01:00."
        ) from None


def parse_day_or_moment(text) -> datetime:
    try:
        return datetime.combine(date.fromisoformat(text), time.max, UTC)
    except ValueError:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
