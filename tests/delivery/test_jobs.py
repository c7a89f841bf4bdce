"""Tasks: transactions, further tries, and giving up."""

from datetime import timedelta

import pytest
from django.db import transaction
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from mailboxes.delivery import jobs
from mailboxes.models import ServerProcess
from tests.delivery import tasks
from tests.delivery.running import lines, list_delays, pass_time, run_tasks

pytestmark = pytest.mark.django_db


def status() -> str:
    return DBTaskResult.objects.get().status


def test_task_runs_once(path):
    tasks.note.enqueue(path, "hello")
    assert run_tasks() == 1
    assert run_tasks() == 0
    assert lines(path) == ["hello"]
    assert status() == "SUCCESSFUL"


@pytest.mark.django_db(transaction=True)
def test_task_of_a_rolled_back_transaction_does_not_run(path):
    with transaction.atomic():
        tasks.note.enqueue(path, "hello")
        transaction.set_rollback(True)
    assert run_tasks() == 0
    assert lines(path) == []


def test_task_with_a_later_time_waits_for_it(path):
    tasks.note.using(run_after=timezone.now() + timedelta(minutes=1)).enqueue(path, "hello")
    assert run_tasks() == 0
    pass_time(minutes=2)
    assert run_tasks() == 1


def test_task_of_another_queue_waits_for_its_worker(path):
    tasks.work_slowly.enqueue(path, 0)
    assert run_tasks(["speech"]) == 0
    assert run_tasks(["mail"]) == 1


def test_task_with_a_higher_priority_runs_first(path):
    tasks.note.using(priority=-10).enqueue(path, "low")
    tasks.note.enqueue(path, "normal")
    run_tasks()
    assert lines(path) == ["normal", "low"]


@pytest.mark.parametrize("kind", ["temporary", "unexpected"])
def test_failed_task_is_tried_again_with_longer_delays_and_then_given_up(path, kind):
    tasks.fail.enqueue(path, kind)
    run_tasks()
    assert 7 < list_delays()[0] <= 12
    pass_time(seconds=12)
    run_tasks()
    assert 11 < list_delays()[0] <= 18
    pass_time(seconds=18)
    run_tasks()
    assert lines(path) == ["try", "try", "try", "gave up"]
    assert status() == "FAILED"


def test_permanent_error_is_not_tried_again(path):
    tasks.fail.enqueue(path, "permanent")
    run_tasks()
    assert lines(path) == ["try", "gave up"]
    row = DBTaskResult.objects.get()
    assert (row.status, row.traceback) == ("FAILED", "gone")


def test_success_removes_earlier_failures_of_the_same_task(path):
    for line in ("hello", "hello", "other"):
        failed = tasks.note.enqueue(path, line)
        DBTaskResult.objects.filter(pk=failed.id).update(status="FAILED")
    tasks.note.enqueue(path, "hello")
    run_tasks()
    left = DBTaskResult.objects.failed().values_list("args_kwargs", flat=True)
    assert [each["args"][1] for each in left] == ["other"]


def test_listed_delays_replace_the_growing_ones():
    policy = jobs.Policy(delays=(5, 300))
    assert 4 <= policy.delay_after(1) <= 6
    assert 240 <= policy.delay_after(2) <= 360
    assert policy.delay_after(3) is None


def test_task_gets_the_number_of_its_attempt(path):
    tasks.note_attempt.enqueue(path)
    run_tasks()
    assert lines(path) == ["1"]


def test_task_of_a_newer_version_of_the_code_is_tried_again(path):
    tasks.note.enqueue(path, "hello")
    DBTaskResult.objects.update(task_path="mailboxes.delivery.newer.send")
    run_tasks()
    assert status() == "READY"
    DBTaskResult.objects.update(task_path="tests.delivery.tasks.note")
    pass_time(minutes=1)
    run_tasks()
    assert lines(path) == ["hello"]


def test_error_while_giving_up_is_logged(path, monkeypatch, caplog):
    def refuse(result):
        raise ValueError("refused")

    monkeypatch.setitem(jobs.policies, tasks.fail.module_path, jobs.Policy(give_up=refuse))
    tasks.fail.enqueue(path, "permanent")
    run_tasks()
    assert status() == "FAILED"
    assert "The task tests.delivery.tasks.fail cannot be given up." in caplog.text


def claim_of(worker_id, path, attempt=1):
    tasks.fail.enqueue(path, "temporary")
    DBTaskResult.objects.update(
        status="RUNNING", worker_ids=[str(worker_id)] * attempt, started_at=timezone.now()
    )


def add_worker(seconds_ago):
    seen_at = timezone.now() - timedelta(seconds=seconds_ago)
    return ServerProcess.objects.create(
        host="a", pid=1, key="0a1b2c3d", seen_at=seen_at, runs_tasks=True
    )


def test_task_of_a_live_worker_is_left_to_it(path):
    claim_of(add_worker(20).pk, path)
    assert jobs.recover() == 0
    assert status() == "RUNNING"


def test_task_of_a_dead_worker_is_taken_up_at_once(path):
    claim_of(add_worker(50).pk, path)
    assert jobs.recover() == 1
    assert run_tasks() == 1
    assert lines(path) == ["try"]


def test_task_whose_workers_died_too_often_is_given_up(path):
    claim_of("gone", path, attempt=3)
    assert jobs.recover() == 1
    assert status() == "FAILED"
    assert lines(path) == ["gave up"]


def test_worker_that_lost_its_task_records_nothing(path):
    """It was without the database for a while, and another worker took the task up."""
    claim_of("first", path)
    row = DBTaskResult.objects.get()
    DBTaskResult.objects.update(worker_ids=["first", "second"])
    assert jobs.settle(row, None) == ""
    assert status() == "RUNNING"


def test_finished_tasks_are_removed_after_days(path):
    for days, kind in ((13, "SUCCESSFUL"), (15, "SUCCESSFUL"), (29, "FAILED"), (31, "FAILED")):
        result = tasks.note.enqueue(path, f"{days}")
        finished_at = timezone.now() - timedelta(days=days)
        DBTaskResult.objects.filter(pk=result.id).update(status=kind, finished_at=finished_at)
    tasks.note.enqueue(path, "waiting")
    assert jobs.remove_finished() == 2
    left = DBTaskResult.objects.values_list("args_kwargs", flat=True)
    assert {each["args"][1] for each in left} == {"13", "29", "waiting"}
