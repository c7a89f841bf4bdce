"""Issues a credential for the API, or for a telephone engine, and tells its secret, once."""

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
        "What is printed holds its secret, which is never shown again."
    )

    def add_arguments(self, parser):
        parser.add_argument(
            "account",
            metavar="ACCOUNT",
            help=f"the account's name; with --engine, {EVERY_ACCOUNT} is for every account",
        )
        parser.add_argument("user", metavar="USER", help="a name for the credential")
        parser.add_argument(
            "--create-account", action="store_true", help="make the account if there is none"
        )
        parser.add_argument(
            "--engine",
            action="store_true",
            help="for Asterisk or FreeSWITCH, to look up the mailboxes of the account and its customers",
        )
        parser.add_argument(
            "--networks",
            default="",
            help="where calls may come from, as in 192.0.2.0/24,2001:db8::/32 (default: anywhere)",
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

    # Printed by BaseCommand once it is committed: no secret is shown that was not kept.
    @transaction.atomic
    def handle(
        self, *args, account, user, create_account, engine, networks, expires, as_json, **options
    ) -> str:
        for_all = engine and account == EVERY_ACCOUNT
        account = None if for_all else find_account(account, create_account)
        expires_at = read_expiry(expires) if expires is not None else None
        options = {"name": "USER", "networks": "--networks", "expires_at": "--expires"}
        with refusals_about(**options):
            credential, secret = ApiCredential.objects.issue(
                account, user, networks, expires_at, is_engine=engine
            )
        shown = credential.login_fields(secret)
        if as_json:
            return json.dumps(shown)
        return "\n".join(f"{name}: {value}" for name, value in shown.items())


@contextmanager
def refusals_about(**arguments):
    """Turn a model's ValidationError into sentences, each after the argument that it is about."""
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


def find_account(name, create):
    """The account of that name, made here if there is none and `create` is true. Raises CommandError."""
    account = Account(name=name)
    with refusals_about(name="ACCOUNT"):
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


def read_expiry(text) -> datetime:
    """The moment meant by an ISO date, which is its end, or an ISO date and time. Raises CommandError."""
    try:
        return end_of_day_or_moment(text)
    except (ValueError, OverflowError):
        raise CommandError(
            "--expires: Write a date as 2027-01-31, or a date and time as 2027-01-31T12:00+01:00."
        ) from None


def end_of_day_or_moment(text) -> datetime:
    try:
        return datetime.combine(date.fromisoformat(text), time.max, UTC)
    except ValueError:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
