"""The list of changed mailboxes (`changed_since`): no change is missed."""

import base64
import io
import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Event
from urllib.parse import quote
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from mailboxes import batches
from mailboxes.csvfiles import importing
from mailboxes.csvfiles.rows import format_rows
from mailboxes.models import Account, Batch, ChangeFeed, Mailbox
from tests.conftest import headers_for
from tests.databases import default_database
from tests.service import InProcess

LIST = "/voip/mailbox"


class Poller:
    """Follows the two lists of changes, with pages of this size."""

    def __init__(self, service, limit=1000):
        self.service, self.limit = service, limit
        self.cursors = {"false": "0", "true": "0"}

    def call(self, deleted="false"):
        query = f"changed_since={self.cursors[deleted]}&deleted={deleted}&limit={self.limit}"
        return self.service.get(f"{LIST}?{query}")

    def fetch_pages(self, deleted="false"):
        """Yield the names on each page."""
        more = True
        while more:
            answer = self.call(deleted)
            assert answer.status == 200, answer.body
            self.cursors[deleted] = answer.headers["x-changes-cursor"]
            yield [mailbox["name"] for mailbox in answer.result]
            more = "link" in answer.headers

    def poll(self, deleted="false"):
        return sorted(name for page in self.fetch_pages(deleted) for name in page)


@pytest.fixture
def poller(service):
    return Poller(service)


@pytest.fixture
def sales(account):
    """Return a mailbox with a recipient; the account has another mailbox."""
    Mailbox.objects.create(account=account, name="Other")
    mailbox = Mailbox.objects.create(account=account, name="Sales")
    mailbox.add_recipient("pete@acme.example")
    return mailbox


def get_rosa():
    return User.objects.get_or_create(username="rosa")[0]


def write_batch(mailbox):
    batch = Batch.objects.create(user=get_rosa(), action="changed")
    with transaction.atomic():
        (locked,) = batches.lock_for_update([mailbox.pk])
        locked.transcribe = True
        batches.write_batch(batch, changed=[locked])
    return batch


def write_recipient_batch(mailbox):
    batch = Batch.objects.create(user=get_rosa(), action="changed")
    with transaction.atomic():
        (locked,) = batches.lock_for_update([mailbox.pk])
        batches.write_batch(batch, added=locked.recipients_to_add(["ann@acme.example"]))


def import_rows(rows, header=("uuid", "account", "name")):
    file = io.BytesIO(format_rows([header, *rows]).encode())
    source = importing.stage_file(get_rosa(), file, "mailboxes.csv")
    importing.check_rows(source, seconds=60)
    importing.write_import(source, get_rosa())


# Each changes the mailbox Sales once.
CHANGES = {
    "PUT": lambda service, path, sales: service.put(path, {"name": "Sales"}),
    "PATCH": lambda service, path, sales: service.patch(path, {"beep": False}),
    "PATCH with a condition": lambda service, path, sales: service.patch(
        path, {"beep": False}, headers={"If-Match": '"2"'}
    ),
    "a recipient is added": lambda service, path, sales: service.post(
        f"{path}/email-recipient", {"email": "ann@acme.example"}
    ),
    "a recipient is changed": lambda service, path, sales: service.put(
        f"{path}/email-recipient/{sales.email_recipients.get().pk}", {"email": "a@acme.example"}
    ),
    "a recipient is removed": lambda service, path, sales: service.delete(
        f"{path}/email-recipient/{sales.email_recipients.get().pk}"
    ),
    "its pass code is set": lambda service, path, sales: sales.set_pass_code("4829"),
    "a batch": lambda service, path, sales: write_batch(sales),
    "a batch of recipients": lambda service, path, sales: write_recipient_batch(sales),
    "an import": lambda service, path, sales: import_rows(
        [[str(sales.pk), "no"]], ("uuid", "beep")
    ),
    "reverting": lambda service, path, sales: batches.revert_to(sales, sales.version, get_rosa()),
}


def test_start_lists_all_mailboxes(poller, sales):
    assert poller.poll() == ["Other", "Sales"]
    assert poller.poll("true") == []


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_changed_mailbox_is_listed_once(service, poller, sales, change):
    poller.poll()
    answer = change(service, f"{LIST}/{sales.pk}", Mailbox.objects.get(pk=sales.pk))
    assert getattr(answer, "status", 200) < 300
    assert poller.poll() == ["Sales"]
    assert poller.poll() == []


def test_created_mailboxes_are_listed(service, poller, sales):
    poller.poll()
    service.post(LIST, {"name": "By a program"})
    import_rows([["", "acme", "By an import"]])
    assert poller.poll() == ["By a program", "By an import"]


def test_undone_change_is_listed(poller, sales):
    batch = write_batch(sales)
    poller.poll()
    batches.undo_batch(batch, get_rosa())
    assert poller.poll() == ["Sales"]


def test_deleted_and_restored_mailbox_is_listed(service, poller, sales):
    poller.poll()
    poller.poll("true")
    service.delete(f"{LIST}/{sales.pk}")
    assert (poller.poll(), poller.poll("true")) == ([], ["Sales"])
    service.post(f"{LIST}/{sales.pk}/restore")
    assert (poller.poll(), poller.poll("true")) == (["Sales"], [])


def test_listed_mailbox_is_like_in_the_other_lists(service, sales):
    changed, listed = service.get(f"{LIST}?changed_since=0"), service.get(LIST).result
    by_uuid = {mailbox["uuid"]: mailbox for mailbox in changed.result}
    assert [by_uuid[mailbox["uuid"]] for mailbox in listed] == listed
    assert list(changed.json) == ["result", "status_code", "status_message"]


def test_reencryption_is_no_change(service, poller, sales):
    service.patch(f"{LIST}/{sales.pk}", {"password": "4829"})
    poller.poll()
    Mailbox.objects.get(pk=sales.pk).reencrypt()
    assert poller.poll() == []


def test_pages_have_each_mailbox_once(service, account):
    poller = Poller(service, limit=2)
    for number in range(5):
        Mailbox.objects.create(account=account, name=f"Box {number}")
    pages = list(poller.fetch_pages())
    assert [len(page) for page in pages] == [2, 2, 1]
    assert sorted(name for page in pages for name in page) == [f"Box {n}" for n in range(5)]


def test_mailbox_changed_between_pages_is_listed(service, account):
    poller = Poller(service, limit=2)
    for number in range(4):
        Mailbox.objects.create(account=account, name=f"Box {number}")
    pages = poller.fetch_pages()
    (seen, _) = next(pages)
    unseen = account.mailboxes.exclude(name__in=[seen, _]).first()
    for name in (seen, unseen.name):
        account.mailboxes.get(name=name).save()
    rest = [name for page in pages for name in page]
    assert sorted(rest).count(unseen.name) == rest.count(seen) == 1


def test_link_is_the_address_of_the_next_page(service, account):
    for number in range(3):
        Mailbox.objects.create(account=account, name=f"Box {number}")
    answer = service.get(f"{LIST}?changed_since=0&limit=2")
    address = answer.headers["link"].removeprefix("<http://localhost").removesuffix('>; rel="next"')
    assert len(service.get(address).result) == 1


def test_deleted_mailboxes_do_not_delay_changed_ones(service, account):
    for number in range(9):
        Mailbox.objects.create(account=account, name=f"Box {number}", deleted_at=timezone.now())
    Mailbox.objects.create(account=account, name="Sales")
    assert Poller(service, limit=2).poll() == ["Sales"]


def test_other_account_has_a_feed_of_its_own(poller, sales, stranger):
    poller.poll()
    Mailbox.objects.create(account=stranger, name="Theirs")
    assert poller.poll() == []
    assert Poller(InProcess(headers_for(stranger))).poll() == ["Theirs"]


# --- Late commits ------------------------------------------------------------------


@pytest.fixture(params=["sqlite_databases", "postgres_databases"])
def url(request):
    return request.getfixturevalue(request.param).copy()


@contextmanager
def uncommitted(url, write):
    """Call `write` in a transaction of another connection, which ends with the block."""
    written, end = Event(), Event()

    def run():
        with default_database(url), transaction.atomic():
            write()
            written.set()
            assert end.wait(60)

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run)
        try:
            assert written.wait(60)
            yield
        finally:
            end.set()
        running.result()


def rename(uuid, name):
    mailbox = Mailbox.objects.get(pk=uuid)
    mailbox.change({"name": name})


def test_change_that_is_committed_late_is_listed(url):
    with default_database(url) as database:
        account = Account.objects.get(name="acme")
        late, early = account.mailboxes.active().values_list("pk", flat=True)[:2]
        poller = Poller(InProcess(headers_for(account, "poller")))
        assert len(poller.poll()) == 19
        with uncommitted(url, lambda: (rename(late, "Late"), create(account, "Created late"))):
            if database.vendor == "postgresql":  # SQLite has one writer at a time
                rename(early, "Early")
                assert poller.poll() == ["Early"]
            assert poller.poll() == []
        assert poller.poll() == ["Created late", "Late"]
        assert poller.poll() == []


def create(account, name):
    Mailbox.objects.create(account=account, name=name)


def test_locked_change_is_listed_when_the_lock_is_released(url):
    with default_database(url):
        account = Account.objects.get(name="acme")
        uuid = account.mailboxes.active().first().pk
        poller = Poller(InProcess(headers_for(account, "poller")))
        poller.poll()
        rename(uuid, "Changed")
        with uncommitted(url, lambda: Mailbox.objects.select_for_update().get(pk=uuid)):
            assert poller.poll() == []
        assert poller.poll() == ["Changed"]


def test_poll_does_not_wait_for_another_that_numbers(url):
    with default_database(url):
        account = Account.objects.get(name="acme")
        poller = Poller(InProcess(headers_for(account, "poller")))
        poller.poll()
        rename(account.mailboxes.active().first().pk, "Changed")
        with uncommitted(url, lambda: ChangeFeed.objects.select_for_update().get()):
            assert poller.poll() == []
        assert poller.poll() == ["Changed"]


# --- Cursors -----------------------------------------------------------------------


def refusal(answer):
    assert answer.status == 400, answer.body
    return {name: errors[0]["code"] for name, errors in answer.errors.items()}


@pytest.mark.parametrize(
    "cursor",
    ["", "1", "yesterday", "2023-06-02", "%00", "W10=", "é"],
)
def test_malformed_cursor_is_refused(service, cursor):
    code = "blank" if cursor == "" else "invalid"
    assert refusal(service.get(f"{LIST}?changed_since={quote(cursor, '%')}")) == {
        "changed_since": code
    }


ZERO = UUID(int=0).hex


@pytest.mark.parametrize(
    "parts",
    [
        [],
        5,
        [ZERO, False, 0, 0],
        ["no uuid", False, 0, 0, ZERO],
        [5, False, 0, 0, ZERO],
        [ZERO, False, 0, "0", ZERO],
        [ZERO, False, None, 0, ZERO],
        [ZERO, False, 0, 10**30, ZERO],
        [ZERO, False, 0, 0, None],
        [ZERO, False, 0, 0, "\ud800"],
    ],
    ids=repr,
)
def test_forged_cursor_is_refused(service, parts):
    cursor = base64.urlsafe_b64encode(json.dumps(parts).encode()).decode()
    assert refusal(service.get(f"{LIST}?changed_since={cursor}")) == {"changed_since": "invalid"}


@pytest.mark.parametrize("number", [-1, 3, 2**63, 2**64 - 1])
def test_cursor_with_an_unknown_number_is_outdated(service, poller, account, sales, number):
    poller.poll()
    feed = ChangeFeed.objects.get().uuid.hex
    cursor = base64.urlsafe_b64encode(json.dumps([feed, False, 0, number, ZERO]).encode()).decode()
    assert refusal(service.get(f"{LIST}?changed_since={cursor}")) == {"changed_since": "outdated"}


@pytest.mark.parametrize("removed", [-(2**63), 2**63, 2**64 - 1])
def test_cursor_with_a_forged_removal_is_served(service, poller, sales, removed):
    poller.poll("true")
    feed = ChangeFeed.objects.get().uuid.hex
    cursor = base64.urlsafe_b64encode(json.dumps([feed, True, removed, 1, ZERO]).encode()).decode()
    assert service.get(f"{LIST}?changed_since={cursor}&deleted=true").result == []


def test_cursor_of_another_account_is_outdated(poller, sales, stranger):
    poller.poll()
    poller.service = InProcess(headers_for(stranger))
    assert refusal(poller.call()) == {"changed_since": "outdated"}


def test_cursor_of_the_other_list_is_refused(poller, sales):
    poller.poll()
    poller.cursors["true"] = poller.cursors["false"]
    assert refusal(poller.call("true")) == {"changed_since": "other_list"}


@pytest.mark.parametrize(
    "name_and_value",
    ["name=Sales", "search=a", "order=name", "updated_since=2023-06-02", "transcribe=true"],
)
def test_filter_that_would_hide_changes_is_refused(service, name_and_value):
    answer = service.get(f"{LIST}?changed_since=0&{name_and_value}")
    assert (answer.status, list(answer.errors)) == (400, [name_and_value.partition("=")[0]])
    assert "cannot be combined with changed_since" in answer.body.decode()


def test_cursor_that_misses_a_purged_deletion_is_outdated(service, poller, sales, settings):
    poller.poll("true")
    up_to_date = Poller(service)
    service.delete(f"{LIST}/{sales.pk}")
    up_to_date.poll("true")
    settings.RETENTION_DAYS = 0
    call_command("purge_deleted")
    assert refusal(poller.call("true")) == {"changed_since": "outdated"}
    assert up_to_date.poll("true") == []


def test_cursor_is_outdated_even_if_no_poll_saw_the_deletion(service, poller, sales, settings):
    poller.poll("true")
    service.delete(f"{LIST}/{sales.pk}")
    settings.RETENTION_DAYS = 0
    call_command("purge_deleted")
    assert refusal(poller.call("true")) == {"changed_since": "outdated"}
    assert poller.poll() == ["Other"]  # the list of changed mailboxes shows no deletions anyway


def test_new_copy_can_start_after_a_purge(service, account, settings):
    settings.RETENTION_DAYS = 1
    for number in range(3):
        Mailbox.objects.create(account=account, name=f"Box {number}", deleted_at=timezone.now())
    poller = Poller(service, limit=1)
    assert len(poller.poll("true")) == 3
    gone = Mailbox.objects.create(account=account, name="Gone")
    gone.deleted_at = timezone.now() - timezone.timedelta(days=2)
    gone.save()
    call_command("purge_deleted")
    assert len(Poller(service, limit=1).poll("true")) == 3


def test_numbers_continue_if_the_feed_was_deleted(service, poller, sales):
    for _ in range(3):
        poller.poll()
        sales.save()
    ChangeFeed.objects.all().delete()
    assert refusal(poller.call()) == {"changed_since": "outdated"}
    poller = Poller(service)
    assert poller.poll() == ["Other", "Sales"]
    Mailbox.objects.get(name="Other").save()
    assert poller.poll() == ["Other"]


def test_number_of_queries_does_not_depend_on_the_rows(
    service, poller, account, django_assert_num_queries
):
    poller.poll()
    counts = set()
    for rows in (5, 20):
        for number in range(rows):
            Mailbox.objects.create(account=account, name=f"Box {number}")
        with CaptureQueriesContext(connection) as captured:
            poller.poll()
        counts.add(len(captured))
        with django_assert_num_queries(3):  # nothing has changed, so nothing is written
            poller.poll()
    assert len(counts) == 1


def test_get_and_plain_list_have_no_cursor(service, sales):
    for path in (LIST, f"{LIST}?limit=1", f"{LIST}/{sales.pk}"):
        assert "x-changes-cursor" not in service.get(path).headers
    assert not ChangeFeed.objects.exists()
    assert service.get(f"{LIST}/{uuid4()}?changed_since=0").status == 404
