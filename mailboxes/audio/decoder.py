"""The child process that decodes recordings."""

import json
import subprocess
import sys
from contextlib import suppress
from threading import Lock, Timer
from time import monotonic
from typing import BinaryIO, cast

from django.conf import settings

from mailboxes.audio.decoding import (
    NO_AUDIO,
    TIME_LIMIT,
    UnusableAudioError,
    read_message,
    write_message,
)
from mailboxes.audio.recordings import Greeting, Recording
from mailboxes.contract import MAX_SOUND_SECONDS

TRIES = 2  # the process may have been ended by something else than the recording


class Decoder:
    """Decodes one recording at a time, in a child process.

    A file that takes too much time or memory, or crashes FFmpeg, ends only that process. The next
    recording starts a new one. It ends with this process, because its input then does.
    """

    def __init__(self) -> None:
        self.lock = Lock()
        self.process: subprocess.Popen | None = None

    def decode(self, data: bytes) -> Recording:
        """Decode an audio file of at most MESSAGE_MAX_SECONDS.

        Raises UnusableAudioError; OSError if the process does not start.
        """
        (recording,) = self.decode_for("message", settings.MESSAGE_MAX_SECONDS, data)
        return recording

    def decode_greeting(self, data: bytes) -> Greeting:
        """Decode an audio file of at most MAX_SOUND_SECONDS, cut its silence, and level it.

        Raises UnusableAudioError, also for a silent file; OSError if the process does not start.
        """
        return Greeting(*self.decode_for("greeting", MAX_SOUND_SECONDS, data))

    def decode_for(self, use: str, max_seconds: float, data: bytes) -> list[Recording]:
        """Decode for one of `decoding.USES`. Raises UnusableAudioError, OSError."""
        if not data:
            raise UnusableAudioError(NO_AUDIO)
        with self.lock:
            for _ in range(TRIES):
                process, started = self.get_process(), monotonic()
                with suppress(EOFError, OSError):
                    return self.decode_in_process(use, max_seconds, data, process)
                self.stop()
                if monotonic() - started >= TIME_LIMIT:
                    break
        raise UnusableAudioError(NO_AUDIO)

    def decode_in_process(
        self, use: str, max_seconds: float, data: bytes, process: subprocess.Popen
    ) -> list[Recording]:
        """Raises UnusableAudioError; EOFError or OSError if the process ends."""
        stdin, stdout = cast(BinaryIO, process.stdin), cast(BinaryIO, process.stdout)
        timer = Timer(TIME_LIMIT, process.kill)
        timer.start()
        try:
            write_message(stdin, json.dumps([use, max_seconds]).encode())
            write_message(stdin, data)
            answer = json.loads(read_message(stdout))
            if "error" in answer:
                raise UnusableAudioError(answer["error"])
            return [Recording(rate, read_message(stdout)) for rate in answer["rates"]]
        finally:
            timer.cancel()

    def get_process(self) -> subprocess.Popen:
        """Return the process, and start it if it does not run. Raises OSError."""
        if self.process is None or self.process.poll() is not None:
            self.stop()
            self.process = subprocess.Popen(
                [sys.executable, "-m", "mailboxes.audio.decoding"],
                cwd=settings.BASE_DIR,
                env={},  # without the keys of this process
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                start_new_session=True,  # Ctrl-C is not for it
            )
            try:
                read_message(cast(BinaryIO, self.process.stdout))
            except EOFError:
                raise OSError("The process that decodes recordings does not start.") from None
        return self.process

    def stop(self) -> None:
        if self.process is not None:
            process, self.process = self.process, None
            process.kill()
            with suppress(OSError), process:  # closes its pipes, and waits for its end
                pass


decoder = Decoder()
