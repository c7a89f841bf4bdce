"""Staff can do only what their group permits: random visits to console and admin.

A refused visit changes nothing. Users who may not change mailboxes never see a pass code, and those
who may not listen to messages never see what callers say.
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
from mailboxes.delivery.webhooks import send
from mailboxes.models import Account, ApiCredential, Batch, Mailbox
from mailboxes.staff.groups import GROUPS
from tests.delivery.running import fail_task
from tests.delivery.webhooks import create_webhook
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
    csv_file_form,
)
from tests.guarantees.state_machines import RolledBackMachine, rolled_back, run_machine
from tests.messages import leave_message
from tests.service import shows
from tests.sounds import create_sound

CODES = ["7391", "8264", "5938", "4826"]  # the forms send the last one
SPOKEN = "The safe opens with swordfish."
ENDPOINTS = [*CONSOLE, *ADMIN]
SIGN_IN = ("/sign-in/", "/admin/login/")
RANKS = {
    "visitor": ANYONE,  # not signed in
    "outsider": ANYONE,  # a Manager who is no longer staff
    "newcomer": STAFF,  # in no group
    "Viewer": VIEWER,
    "Support": SUPPORT,
    "Manager": MANAGER,
}


@pytest.fixture
def people(db):
    """A user of each rank. There are two accounts with a mailbox each, and a deleted mailbox."""
    for name, code in zip(("acme", "other"), CODES, strict=False):
        account = Account.objects.create(name=name)
        mailbox = Mailbox(account=account, name=f"Box of {name}")
        mailbox.password = code
        mailbox.save()
        mailbox.add_recipient(f"ann@{name}.example")
        leave_message(mailbox, "Ann", text=SPOKEN)
        ApiCredential.objects.issue(account, "api")
        create_sound(account)
        message = leave_message(mailbox, "Bob")
        send(
            create_webhook(account),
            "message.received",
            {"transcription": SPOKEN, "uuid": str(message.pk)},
        )
    deleted = Mailbox(account=account, name="Deleted")
    deleted.password = CODES[2]
    deleted.save()
    deleted.add_recipient("bob@other.example")
    deleted.soft_delete()
    root = User.objects.create_superuser("root")
    TOTPDevice.objects.create(user=root)
    StaticDevice.objects.create(user=root)
    AccessAttempt.objects.create(username="root", failures_since_start=1)
    clerk = User.objects.create_user("clerk", is_staff=True)  # shown on the pages of staff
    TOTPDevice.objects.create(user=clerk)
    for name, rank in RANKS.items():
        if name != "visitor":
            user = User.objects.create_user(name, password=PASSWORD, is_staff=name != "outsider")
            groups = [name] if rank > STAFF else ["Manager"] if name == "outsider" else []
            user.groups.set(Group.objects.filter(name__in=groups))


def open_browser(person):
    browser = Client(SERVER_NAME="localhost")
    if person != "visitor":
        browser.force_login(
            User.objects.get(username=person), "django.contrib.auth.backends.ModelBackend"
        )
    return browser


def create_subject(endpoint, person):
    """Create the import or the change that the endpoint's address names."""
    user = User.objects.filter(username=person).first() or User.objects.get(username="Support")
    if endpoint.page.startswith("import-"):
        file = csv_file_form(Visit(None, Account.objects.earliest("pk")))["file"]
        importing.check_rows(importing.stage_file(user, file, file.name), seconds=60)
    if endpoint.page in ("job-again", "jobs-again"):
        fail_task()
    if endpoint.page in ("batch", "undo"):
        versions = dict(Mailbox.objects.values_list("pk", "version")[:1])
        batches.change_each(user, Batch.Action.RESTORED, versions, lambda mailbox: True)


def read_database():
    """Return all rows that a visit might change, by model. Every visit changes its session."""
    return {
        model._meta.label_lower: list(model.objects.order_by("pk").values_list())
        for model in apps.get_models(include_auto_created=True)
        if model not in (ContentType, Permission, Session)
    }


def is_refused(endpoint, person, visit) -> bool:
    if endpoint.needs_active:
        row = visit.recipient.mailbox if "recipient" in endpoint.page else visit.mailbox
        row = visit.mailbox if endpoint.page == "recipient-add" else row
        if row.is_deleted:
            return True
    return RANKS[person] < endpoint.minimum_rank


def make_visit(endpoint, person, visit):
    """Check a visit, and return its response, and True if it changed the database.

    A refused visit changes nothing. Users who may not change mailboxes see no pass code, and those
    who may not listen see nothing that a caller says.
    """
    refused, browser = is_refused(endpoint, person, visit), open_browser(person)
    address, form = endpoint.build_address(visit), endpoint.form(visit)
    before = read_database()
    response = browser.get(address) if endpoint.method == "GET" else browser.post(address, form)
    text = response.getvalue().decode()
    must_sign_in = response.status_code == 302 and response.url.startswith(SIGN_IN)
    if refused:
        assert read_database() == before, f"{person} changed something: {endpoint}"
        if endpoint.is_admin or person == "visitor":
            assert must_sign_in, f"{person} was not asked to sign in: {endpoint}"
        elif RANKS[person] >= endpoint.minimum_rank:
            assert_deletion_is_explained(browser, response)
        else:
            assert response.status_code == 403, f"{person} got {response.status_code}: {endpoint}"
    else:
        assert response.status_code in (200, 302, 404), f"{person}: {endpoint}"
    if RANKS[person] < SUPPORT:
        for code in CODES:
            assert not shows(text, code), f"{person} was shown a pass code: {endpoint}"
    if RANKS[person] < MANAGER:
        assert SPOKEN not in text, f"{person} was shown what a caller says: {endpoint}"
    return response, read_database() != before


def assert_deletion_is_explained(browser, response):
    page = browser.get(response.url) if response.status_code == 302 else response
    assert "This mailbox was deleted. Restore it first." in page.content.decode()


def test_permitted_form_has_an_effect(people):
    """A refused form proves something only if the same form has an effect for others."""
    for endpoint in ENDPOINTS:
        if endpoint.has_effect and endpoint.minimum_rank < NOBODY:
            with rolled_back():
                person = next(name for name, rank in RANKS.items() if rank == endpoint.minimum_rank)
                visit = prepare_visit(endpoint, person)
                response, changed = make_visit(endpoint, person, visit)
                assert changed, f"{endpoint}: {response.content.decode()}"


@pytest.mark.long
def test_anonymous_user_and_next_lower_group_are_refused(people):
    for endpoint in ENDPOINTS:
        refused = [name for name, rank in RANKS.items() if rank < endpoint.minimum_rank]
        for person in refused[:1] + refused[-1:]:
            with rolled_back():
                visit = prepare_visit(endpoint, person)
                assert is_refused(endpoint, person, visit)
                make_visit(endpoint, person, visit)


def prepare_visit(endpoint, person):
    """Return a visit on which the endpoint can have an effect."""
    create_subject(endpoint, person)
    account = Account.objects.earliest("pk")
    if "reactivate" in str(endpoint):
        account.suspend()
    mailbox = Mailbox.objects.filter(deleted_at__isnull="restore" not in str(endpoint)).first()
    mailbox.turn_transcription("off" in str(endpoint))
    return Visit(mailbox, account)


class People(RolledBackMachine):
    """Every person at every endpoint, in any order."""

    visits: Counter  # visits of all runs, by is_refused

    @rule(
        endpoint=st.sampled_from(CONSOLE) | st.sampled_from(ADMIN),
        person=st.sampled_from([*RANKS, "Support", "Manager"]),
        mailbox=st.integers(0, 2),
        account=st.integers(0, 1),
    )
    def visit(self, endpoint, person, mailbox, account):
        create_subject(endpoint, person)
        mailboxes, accounts = Mailbox.objects.order_by("created_at"), Account.objects.order_by("pk")
        visit = Visit(mailboxes[mailbox], accounts[account])
        self.visits[is_refused(endpoint, person, visit)] += 1
        make_visit(endpoint, person, visit)


def test_group_can_do_only_what_it_permits(people, size, promise):
    visits = Counter()
    run_machine(People, size(1, 50), visits=visits)
    assert visits.total() >= size(20, 2000)
    assert min(visits.values()) > visits.total() / 10
    promise(
        "Staff can do only what their group permits",
        f"{visits.total():,} random visits by {len(RANKS)} kinds of users to {len(ENDPOINTS)} endpoints "
        f"of console and admin, of which {visits[True]:,} had to be refused",
        0,
    )


def test_every_page_of_the_console_is_visited():
    assert {endpoint.page for endpoint in CONSOLE} == {pattern.name for pattern in urlpatterns}


def test_every_page_of_the_admin_is_visited():
    """All staff may open the other pages, which contain no customers' data."""
    everyones = {"index", "login", "logout", "password_change", "password_change_done"}
    everyones |= {"autocomplete", "jsi18n", "view_on_site", "app_list", None}
    pages = set()
    for pattern in admin.site.get_urls():
        pages |= {page.name for page in getattr(pattern, "url_patterns", [pattern])}
    assert {endpoint.page.removeprefix("admin:") for endpoint in ADMIN} == pages - everyones


def test_visits_include_every_group():
    assert [*GROUPS] == [name for name, rank in RANKS.items() if rank > STAFF]
