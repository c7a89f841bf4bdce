"""Which thread of a worker answers those who call."""

from contextlib import suppress
from threading import Lock

STUCK_SECONDS = 0.02


class Turn:
    """A thread's. It counts when it begins with a caller, and when it is done: odd, it is with one."""

    def __init__(self, steps=0):
        self.steps = steps


class Turns:
    """One thread has its turn, the next one waits for it, the others wait behind that one.

    The next one's turn comes where the thread before it is stuck with a caller: it has been with
    the same one for STUCK_SECONDS, or says itself that it will take long.
    """

    def __init__(self):
        self.is_over = False
        self.next, self.asked = Lock(), Lock()
        self.asked.acquire()  # free only while the next one is asked to come
        self.current = Turn(steps=1)  # nobody's, which ends as if it were stuck

    def take(self) -> Turn | None:
        """Wait for a turn. None: there will be no more."""
        with self.next:
            while not self.is_over:
                if self.comes():
                    self.current = Turn()
                    return self.current
        return None

    def comes(self) -> bool:
        """Wait for a moment, whether it comes."""
        turn, steps = self.current, self.current.steps
        return self.asked.acquire(timeout=STUCK_SECONDS) or (turn.steps == steps and steps % 2 == 1)

    def is_still(self, turn: Turn) -> bool:
        return self.current is turn and not self.is_over

    def ask(self) -> None:
        """Say that whoever has the turn will take long."""
        with suppress(RuntimeError):  # the next one is asked already
            self.asked.release()

    def end(self) -> None:
        self.is_over = True
