"""No task is lost when task workers are killed."""

import random
import time
from collections import Counter

import pytest
from django_tasks_db.models import DBTaskResult

from tests.databases import default_database
from tests.delivery.running import RunningWorker, lines
from tests.delivery.tasks import note_slowly
from tests.server import until

THREADS = 2  # of the queue


@pytest.mark.long
def test_each_task_runs_although_workers_are_killed(databases, tmp_path, size, promise):
    path, kills, tasks = str(tmp_path / "lines"), size(3, 50), size(100, 1000)
    url = databases.copy()
    with default_database(url):
        for number in range(tasks):
            note_slowly.enqueue(path, number)
        for _ in range(kills):
            with RunningWorker(url, alive_age=1) as worker:
                time.sleep(random.uniform(0, 1))
                worker.kill()
        with RunningWorker(url, alive_age=1):
            until(lambda: not DBTaskResult.objects.exclude(status="SUCCESSFUL").exists())
    runs = Counter(lines(path))
    twice = sum(runs.values()) - len(runs)
    assert twice <= kills * THREADS
    promise(
        f"Tasks of killed workers run, {databases.engine}",
        f"{tasks} tasks, {kills} kills of the worker; {twice} ran twice",
        tasks - len(runs),
    )
