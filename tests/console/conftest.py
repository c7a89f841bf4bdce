"""Who may see the staff's pages, signed in."""

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.test import Client

from mailboxes.models import Mailbox


def staff(*permissions):
    """A browser in which a member of staff with these permissions has signed in."""
    user = User.objects.create_user("rosa", password="correct horse", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return signed_in(user)


def staff_of(group):
    """A browser in which a member of staff of the group has signed in."""
    user = User.objects.create_user(group.lower(), password="correct horse", is_staff=True)
    user.groups.add(Group.objects.get(name=group))
    return signed_in(user)


def signed_in(user):
    browser = Client()
    browser.force_login(user)
    browser.user = user
    return browser


@pytest.fixture
def viewer(db):
    """May look, and no more."""
    return staff_of("Viewer")


@pytest.fixture
def support(db):
    """May change mailboxes and recipients."""
    return staff_of("Support")


@pytest.fixture
def manager(db):
    """May change accounts and credentials too."""
    return staff_of("Manager")


@pytest.fixture
def sales(account):
    """A mailbox with a weak pass code and a recipient."""
    mailbox = Mailbox(account=account, name="Sales", transcribe=True)
    mailbox.password = "1234"
    mailbox.save()
    mailbox.add_recipient("ann@acme.example")
    return Mailbox.objects.get()


def desks(account, count, **settings):
    """So many mailboxes of the account: Desk 000, Desk 001 …"""
    return [
        Mailbox.objects.create(account=account, name=f"Desk {number:03}", **settings)
        for number in range(count)
    ]


def messages(response):
    """What the page says was done."""
    return [str(message) for message in response.context["messages"]]


def undo_address(response):
    """Where the page's Undo button sends."""
    (message,) = [message for message in response.context["messages"] if message.extra_tags]
    return f"/changes/{message.extra_tags}/undo/"


def state(mailbox):
    """All that the database holds of the mailbox now, its addresses among it."""
    row = Mailbox.objects.get(pk=mailbox.pk)
    fields = ["name", "password", "greeting", "beep", "play_caller_id", "play_timestamp"]
    values = {field: getattr(row, field) for field in [*fields, "transcribe", "deleted_at"]}
    return values | {"recipients": [one.email for one in row.email_recipients.all()]}
