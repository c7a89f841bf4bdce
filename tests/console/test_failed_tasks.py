"""The page of tasks that failed for good."""

import pytest
from django_tasks_db.models import DBTaskResult

from tests.console.conftest import NAME, sign_in_member_of, sign_in_with
from tests.console.pages import get_source, get_text
from tests.delivery.running import fail_task, run_tasks

pytestmark = pytest.mark.django_db

LINK = 'href="/jobs/"'


def status(row):
    return DBTaskResult.objects.get(pk=row.pk).status


def test_failed_task_is_described_without_the_callers_name(manager, message):
    row = fail_task(str(message.pk), text="The mail server refused the recipient.")
    source, text = get_source(manager, "/jobs/"), get_text(manager.get("/jobs/"))
    assert "Send a mail" in text
    assert "The mail server refused the recipient." in text
    assert "3 attempts" in text
    assert str(row.pk) in text
    assert f'href="/mailboxes/{message.mailbox_id}/messages/{message.pk}/"' in source
    assert NAME not in text


def test_stack_trace_of_an_unexpected_error_is_not_shown(manager, sales):
    fail_task(str(sales.pk), error="builtins.ValueError", text="Traceback: +44 20 7946 0123")
    text = get_text(manager.get("/jobs/"))
    assert "An unexpected error: see the log." in text
    assert "+44" not in text
    assert "Sales" in text


def test_task_of_a_removed_message_or_an_older_version_is_listed(manager):
    fail_task("3f6c1f6e-3c31-4b8e-9a39-0a3f3f0c0f4e")
    other = fail_task()
    DBTaskResult.objects.filter(pk=other.pk).update(task_path="mailboxes.gone.send")
    text = get_text(manager.get("/jobs/"))
    assert "Send a mail" in text
    assert "Another task" in text


def test_link_is_shown_only_while_there_are_failed_tasks(manager, support):
    assert LINK not in get_source(manager)
    row = fail_task()
    assert LINK in get_source(manager)
    assert LINK not in get_source(support)
    manager.post(f"/jobs/{row.pk}/again/")
    assert LINK not in get_source(manager)


def test_task_that_is_tried_again_starts_from_its_first_attempt(manager, sales):
    row, other = fail_task(str(sales.pk)), fail_task()
    page = manager.post(f"/jobs/{row.pk}/again/", follow=True)
    assert "1 task is tried again." in get_text(page)
    assert run_tasks() == 1
    assert (status(row), status(other)) == ("SUCCESSFUL", "FAILED")
    assert len(DBTaskResult.objects.get(pk=row.pk).worker_ids) == 1
    again = manager.post(f"/jobs/{row.pk}/again/", follow=True)
    assert "Nothing was done: it was already tried again." in get_text(again)


def test_all_tasks_are_tried_again(manager):
    rows = [fail_task(), fail_task()]
    page = manager.post("/jobs/again/", follow=True)
    assert "2 tasks are tried again." in get_text(page)
    assert "No failed tasks" in get_text(page)
    assert [status(row) for row in rows] == ["READY", "READY"]


@pytest.mark.parametrize(
    ("method", "path", "statuses"),
    [
        ("get", "/jobs/", (403, 403, 403, 200)),
        ("post", "/jobs/again/", (403, 403, 403, 302)),
        ("post", "/jobs/{row}/again/", (403, 403, 403, 302)),
        ("get", "/jobs/again/", (405, 405, 405, 405)),
    ],
)
def test_each_group_may_do_what_the_table_says(method, path, statuses):
    row = fail_task()
    browsers = [sign_in_with(), *map(sign_in_member_of, ("Viewer", "Support", "Manager"))]
    for browser, code in zip(browsers, statuses, strict=True):
        response = getattr(browser, method)(path.format(row=row.pk))
        assert response.status_code == code
        assert (status(row) == "READY") == (code == 302)
