"""The three groups of staff: each may do what its rank says, and what it may not do changes nothing.

Random visits to every page of the console and of the administration; pass codes never turn up
where no one may change a mailbox.
"""

from collections import Counter

import pytest
from axes.models import AccessAttempt
from django.apps import apps
from django.contrib import admin
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.contrib.sessions.models import Session
from django.test import Client
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice
from hypothesis import strategies as st
from hypothesis.stateful import rule

from mailboxes import batches
from mailboxes.console.urls import urlpatterns
from mailboxes.csvfiles import importing
from mailboxes.models import Account, ApiCredential, Batch, Mailbox
from mailboxes.staff.groups import GROUPS
from tests.guarantees.machines import CleanMachine, run, undone
from tests.guarantees.staff_pages import (
    ADMIN,
    ANYONE,
    CONSOLE,
    MANAGER,
    NOBODY,
    PASSWORD,
    STAFF,
    SUPPORT,
    VIEWER,
    Visit,
    csv_file,
)
from tests.service import shows

CODES = ["7391", "8264", "5938", "4826"]  # the last is what the forms send
DOORS = [*CONSOLE, *ADMIN]
SIGN_IN = ("/sign-in/", "/admin/login/")
PEOPLE = {
    "visitor": ANYONE,  # not signed in
    "outsider": ANYONE,  # of the Managers, but no staff any more
    "newcomer": STAFF,  # of no group
    "Viewer": VIEWER,
    "Support": SUPPORT,
    "Manager": MANAGER,
}


@pytest.fixture
def world(db):
    """Two accounts with a mailbox each and a deleted one, a change to undo, and the people."""
    for name, code in zip(("acme", "other"), CODES, strict=False):
        account = Account.objects.create(name=name)
        mailbox = Mailbox(account=account, name=f"Box of {name}")
        mailbox.password = code
        mailbox.save()
        mailbox.add_recipient(f"ann@{name}.example")
        ApiCredential.objects.issue(account, "api")
    deleted = Mailbox(account=account, name="Deleted")
    deleted.password = CODES[2]
    deleted.save()
    deleted.add_recipient("bob@other.example")
    deleted.soft_delete()
    root = User.objects.create_superuser("root")
    TOTPDevice.objects.create(user=root)
    StaticDevice.objects.create(user=root)
    AccessAttempt.objects.create(username="root", failures_since_start=1)
    for name, rank in PEOPLE.items():
        if name != "visitor":
            user = User.objects.create_user(name, password=PASSWORD, is_staff=name != "outsider")
            groups = [name] if rank > STAFF else ["Manager"] if name == "outsider" else []
            user.groups.set(Group.objects.filter(name__in=groups))


def browser_of(person):
    browser = Client(SERVER_NAME="localhost")
    if person != "visitor":
        browser.force_login(
            User.objects.get(username=person), "django.contrib.auth.backends.ModelBackend"
        )
    return browser


def prepare(door, person):
    """What the door is about: a file of the person's own that is checked, or a change of a mailbox's."""
    user = User.objects.filter(username=person).first() or User.objects.get(username="Support")
    if door.page.startswith("import-"):
        sent = csv_file(Visit(None, Account.objects.earliest("pk")))["file"]
        importing.check_rows(importing.stage_file(user, sent, sent.name), seconds=60)
    if door.page == "undo":
        versions = dict(Mailbox.objects.values_list("pk", "version")[:1])
        batches.change_each(user, Batch.Action.RESTORED, versions, lambda mailbox: True)


def state():
    """Every row of every table that a visit might change, but for the sessions."""
    return {
        model._meta.label_lower: list(model.objects.order_by("pk").values_list())
        for model in apps.get_models(include_auto_created=True)
        if model not in (ContentType, Permission, Session)
    }


def is_refused(door, person, visit) -> bool:
    if door.needs_active:
        row = visit.recipient.mailbox if "recipient" in door.page else visit.mailbox
        row = visit.mailbox if door.page == "recipient-add" else row
        if row.is_deleted:
            return True
    return PEOPLE[person] < door.least


def visit_door(door, person, visit):
    """Open the door. Whom it refuses changes nothing; whoever may not change mailboxes sees no pass code."""
    refused, browser = is_refused(door, person, visit), browser_of(person)
    address, sent = door.address(visit), door.sends(visit)
    before = state()
    response = browser.get(address) if door.method == "GET" else browser.post(address, sent)
    text = response.getvalue().decode()
    signs_in = response.status_code == 302 and response.url.startswith(SIGN_IN)
    if refused:
        assert state() == before, f"{person} changed something: {door}"
        if PEOPLE[person] == ANYONE and (door.is_admin or person == "visitor"):
            assert signs_in, f"{person} was not asked to sign in: {door}"
        elif not door.quiet:
            assert response.status_code == 403, f"{person} got {response.status_code}: {door}"
    else:
        assert response.status_code in (200, 302, 404), f"{person}: {door}"
    if PEOPLE[person] < SUPPORT:
        for code in CODES:
            assert not shows(text, code), f"{person} was shown a pass code: {door}"
    return response, state() != before


def test_whoever_may_does(world):
    """A refusal proves something where the same sent by another has an effect."""
    for door in DOORS:
        if door.changes and door.least < NOBODY:
            with undone():
                person = next(name for name, rank in PEOPLE.items() if rank == door.least)
                visit = prepared(door, person)
                response, changed = visit_door(door, person, visit)
                assert changed, f"{door}: {response.content.decode()}"


def test_whoever_may_a_little_less_may_not(world):
    """At each door, a visitor and the person who may do the most of all who are refused there."""
    for door in DOORS:
        refused = [name for name, rank in PEOPLE.items() if rank < door.least]
        for person in refused[:1] + refused[-1:]:
            with undone():
                visit = prepared(door, person)
                assert is_refused(door, person, visit)
                visit_door(door, person, visit)


def prepared(door, person):
    """A visit in which there is something to do."""
    prepare(door, person)
    account = Account.objects.earliest("pk")
    if "reactivate" in str(door):
        account.suspend()
    mailbox = Mailbox.objects.filter(deleted_at__isnull="restore" not in str(door)).first()
    mailbox.turn_transcription("off" in str(door))
    return Visit(mailbox, account)


class People(CleanMachine):
    """Everybody at every door, in any order."""

    visited: Counter  # of the whole run, by whether one was refused

    @rule(
        door=st.sampled_from(CONSOLE) | st.sampled_from(ADMIN),
        person=st.sampled_from([*PEOPLE, "Support", "Manager"]),
        box=st.integers(0, 2),
        account=st.integers(0, 1),
    )
    def visit(self, door, person, box, account):
        prepare(door, person)
        mailboxes, accounts = Mailbox.objects.order_by("created_at"), Account.objects.order_by("pk")
        visit = Visit(mailboxes[box], accounts[account])
        self.visited[is_refused(door, person, visit)] += 1
        visit_door(door, person, visit)


def test_no_group_does_more_than_it_may(world, size, promise):
    visited = Counter()
    run(People, size(1, 45), visited=visited)
    assert visited.total() >= size(20, 2000)
    assert min(visited.values()) > visited.total() / 10
    promise(
        "Staff do what their group may, and no more",
        f"{visited.total():,} random visits by {len(PEOPLE)} kinds of people to {len(DOORS)} doors "
        f"of console and administration, {visited[True]:,} of them to be refused",
        0,
    )


def test_the_machine_knows_every_page_of_the_console():
    assert {door.page for door in CONSOLE} == {pattern.name for pattern in urlpatterns}


def test_the_machine_knows_every_page_of_the_administration():
    """But for those that are everybody's who is staff and show nothing of anybody's."""
    everybodys = {"index", "login", "logout", "password_change", "password_change_done"}
    everybodys |= {"autocomplete", "jsi18n", "view_on_site", "app_list", None}
    pages = set()
    for pattern in admin.site.get_urls():
        pages |= {page.name for page in getattr(pattern, "url_patterns", [pattern])}
    assert {door.page.removeprefix("admin:") for door in ADMIN} == pages - everybodys


def test_the_machine_knows_every_group():
    assert [*GROUPS] == [name for name, rank in PEOPLE.items() if rank > STAFF]
