"""State machines on the database: many runs of some fifty random steps, each of which begins the same."""

from contextlib import contextmanager

from django.db import transaction
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, run_state_machine_as_test

from tests.guarantees.conftest import FULL

STEPS = 50


@contextmanager
def undone():
    """What is written within is taken back."""
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


class CleanMachine(RuleBasedStateMachine):
    """Begins with what the test's fixtures have made."""

    def __init__(self):
        super().__init__()
        self.run = undone()
        self.run.__enter__()

    def teardown(self):
        self.run.__exit__(None, None, None)


def run(machine, runs, **shared):
    """Run it so often, its class knowing what is shared. In the quick suite, it takes the same steps every time."""
    run_state_machine_as_test(
        type(machine.__name__, (machine,), shared),
        settings=settings(
            max_examples=runs,
            stateful_step_count=STEPS,
            derandomize=not FULL,
            database=None,
            phases=[Phase.generate],  # a failure is told as it was met: to shorten it takes minutes
            suppress_health_check=list(HealthCheck),
        ),
    )
