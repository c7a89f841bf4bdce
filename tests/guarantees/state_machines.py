"""State machines on the database: each run has some 50 random steps and is rolled back."""

from contextlib import contextmanager

from django.db import connection, transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from tests.guarantees.conftest import FULL

STEPS = 50


@contextmanager
def rolled_back():
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


class RolledBackMachine(RuleBasedStateMachine):
    """A state machine whose every run starts with the rows of the test's fixtures."""

    def __init__(self):
        super().__init__()
        self.transaction = rolled_back()
        self.transaction.__enter__()

    def teardown(self):
        self.transaction.__exit__(None, None, None)


def wait_for_locks() -> None:
    """Let the transaction of a run wait for locks again.

    It keeps the limit that a best-effort write has set (`db.connections.limit_lock_wait`), which
    holds for the transaction of a call elsewhere. The autovacuum of PostgreSQL locks tables briefly.
    """
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL lock_timeout TO DEFAULT")


def run_machine(machine, runs, **attributes):
    """Run the machine with class attributes. The quick suite takes the same steps each time."""
    run_state_machine_as_test(
        type(machine.__name__, (machine,), attributes),
        settings=settings(
            max_examples=runs,
            stateful_step_count=STEPS,
            derandomize=not FULL,
            database=None,
            phases=[Phase.generate],  # shortening a failed run takes minutes
            suppress_health_check=list(HealthCheck),
        ),
    )
