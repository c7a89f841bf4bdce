"""Staff of each group, signed in, and a mailbox with a message for them."""

from datetime import UTC, datetime

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client

from mailboxes.models import Mailbox
from tests.messages import leave_message

# Of `message`: the caller, and the transcription.
NAME, NUMBER, SAID = "Ann Smith", "+44 20 7946 0123", "Please call me back about the boiler."


def sign_in_with(*permissions):
    """Return a browser in which a user with only these permissions is signed in."""
    user = User.objects.create_user("rosa", password="correct horse", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return sign_in(user)


def sign_in_member_of(group):
    """Return a browser in which a member of the group is signed in."""
    user = User.objects.create_user(group.lower(), password="correct horse", is_staff=True)
    user.groups.add(Group.objects.get(name=group))
    return sign_in(user)


def sign_in(user):
    browser = Client()
    browser.force_login(user)
    browser.user = user
    return browser


@pytest.fixture
def viewer(db):
    return sign_in_member_of("Viewer")


@pytest.fixture
def support(db):
    return sign_in_member_of("Support")


@pytest.fixture
def manager(db):
    return sign_in_member_of("Manager")


@pytest.fixture
def sales(account):
    """Return a mailbox with a weak pass code and a recipient."""
    mailbox = Mailbox(account=account, name="Sales", transcribe=True)
    mailbox.password = "1234"
    mailbox.save()
    mailbox.add_recipient("ann@acme.example")
    return Mailbox.objects.get()


@pytest.fixture
def message(sales):
    """Return a message of two seconds."""
    return leave_message(
        sales,
        NAME,
        text=SAID,
        seconds=2,
        caller_id_number=NUMBER,
        received_at=datetime(2024, 5, 17, 9, 30, 15, tzinfo=UTC),
    )


def create_desks(account, count, **settings):
    """Create mailboxes of the account, named Desk 000, Desk 001 and so on."""
    return [
        Mailbox.objects.create(account=account, name=f"Desk {number:03}", **settings)
        for number in range(count)
    ]


def list_messages(response):
    return [str(message) for message in response.context["messages"]]


DELETED = "This mailbox was deleted. Restore it first."


def get_undo_address(response):
    """Return the address that the page's Undo button posts to."""
    (message,) = [message for message in response.context["messages"] if message.extra_tags]
    return message.extra_tags


def read_values(mailbox):
    """Return the mailbox's values and recipients as the database has them."""
    row = Mailbox.objects.get(pk=mailbox.pk)
    fields = ["name", "password", "greeting", "beep", "play_caller_id", "play_timestamp"]
    values = {field: getattr(row, field) for field in [*fields, "transcribe", "deleted_at"]}
    return values | {"recipients": [recipient.email for recipient in row.email_recipients.all()]}
