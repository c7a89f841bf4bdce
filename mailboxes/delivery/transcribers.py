"""Transcribers: each returns the segments of a recording, or none if there is no speech."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from typing import Any, Protocol

import httpx
from django.conf import settings

from mailboxes.audio.recordings import MEDIA_TYPE, Recording
from mailboxes.models.transcriptions import Segment

# Segments that are less probable, or repeat themselves more, are nonsense that Whisper found in
# noise, or in a language that the model has not learned.
MIN_LOGPROB = -1.0
MAX_COMPRESSION = 2.4

PART = 30  # seconds

LEAST_TIME, TIME_PER_SECOND = 60, 5  # seconds, at most, and for each second of the recording

MEMORY_BYTES = 2 * 1024**3  # of address space, besides the model; 15 minutes take 1.5 GiB
ENVIRONMENT = {  # without the keys of this process
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
    "ORT_DISABLE_TELEMETRY": "1",  # a library of faster-whisper sends figures to its maker
}

MAX_ANSWER_BYTES = 1024**2
MAX_REASON = 200  # characters
HINTS: dict[int, str] = {
    HTTPStatus.UNAUTHORIZED: "check TRANSCRIBER_KEY",
    HTTPStatus.FORBIDDEN: "check TRANSCRIBER_KEY",
    HTTPStatus.BAD_REQUEST: "check TRANSCRIBER_MODEL",
    HTTPStatus.UNPROCESSABLE_ENTITY: "check TRANSCRIBER_MODEL",
    HTTPStatus.NOT_FOUND: "check TRANSCRIBER_URL and TRANSCRIBER_MODEL",
}
# The server refuses a field of the form: perhaps the request for times, perhaps the model's name.
INVALID = {HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY}
# It will not accept this recording later either.
REFUSALS = {HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE}


class TranscriberError(Exception):
    """The transcriber failed. The text says why, for the log; another try may succeed."""


class RecordingRefusedError(TranscriberError):
    """The transcriber refuses this recording, so another try is useless."""


class Transcriber(Protocol):
    def transcribe(self, recording: Recording) -> list[Segment]:
        """Return the segments with speech. Raises TranscriberError, OSError."""


def get_transcriber() -> Transcriber | None:
    transcribers: dict[str, type[Transcriber]] = {"whisper": Whisper, "http": HttpTranscriber}
    return transcribers[settings.TRANSCRIBER]() if settings.TRANSCRIBER else None


def limit_time(recording: Recording) -> int:
    """Return the seconds that a transcription may take."""
    return LEAST_TIME + int(TIME_PER_SECOND * recording.seconds)


class Whisper:
    """Transcribes with faster-whisper on the CPU, in a child process.

    Each recording has a process of its own. If it takes too much time or memory, only that process
    is killed, and no memory stays in use.
    """

    COMMAND = [sys.executable, "-m", "mailboxes.delivery.whisper_child"]

    def transcribe(self, recording: Recording) -> list[Segment]:
        seconds, model = limit_time(recording), settings.WHISPER_MODEL
        memory = MEMORY_BYTES + 2 * (model / "model.bin").stat().st_size
        arguments = [str(each) for each in (model, recording.rate, seconds, memory)]
        try:
            done = subprocess.run(  # noqa: S603  the arguments are settings and numbers
                [*self.COMMAND, *arguments],
                input=recording.samples,
                capture_output=True,
                timeout=seconds,
                check=True,
                cwd=settings.BASE_DIR,
                env=ENVIRONMENT,
                start_new_session=True,  # Ctrl-C is not for it
            )
        except subprocess.TimeoutExpired:
            raise TranscriberError(f"Whisper took more than {seconds} seconds.") from None
        except subprocess.CalledProcessError as error:
            reason = (error.stderr.decode(errors="replace").splitlines() or [""])[-1]
            raise TranscriberError(
                f"Whisper ended with status {error.returncode}: {reason[:MAX_REASON]}"
            ) from None
        return list(read_segments(json.loads(done.stdout), recording.seconds))


class HttpTranscriber:
    """Sends recordings to a server that speaks OpenAI's API."""

    def transcribe(self, recording: Recording) -> list[Segment]:
        # Some models give no times, and refuse a request for them.
        for answer_format in ("verbose_json", "json"):
            # In a thread of its own, because the caller's may have an event loop.
            with ThreadPoolExecutor(1) as pool:
                sending = pool.submit(asyncio.run, self.send(recording, answer_format))
            status, content = sending.result()
            if status not in INVALID:
                break
        if status != HTTPStatus.OK:
            failure = RecordingRefusedError if status in REFUSALS else TranscriberError
            raise failure(describe_failure(status, content))
        try:
            return parse_answer(content, recording.seconds)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise TranscriberError("The transcriber's answer is not JSON with a text.") from None

    async def send(self, recording: Recording, answer_format: str) -> tuple[int, bytes]:
        """Return the status and the body of the answer. Raises TranscriberError."""
        headers = {"Accept-Encoding": "identity"}
        if settings.TRANSCRIBER_KEY:
            headers["Authorization"] = f"Bearer {settings.TRANSCRIBER_KEY}"
        fields = {"model": settings.TRANSCRIBER_MODEL, "response_format": answer_format}
        files = {"file": ("message.wav", recording.to_wav(), MEDIA_TYPE)}
        limit = limit_time(recording)
        content = bytearray()
        try:
            # The whole exchange is limited; the client's own limits are for each of its steps.
            async with (
                asyncio.timeout(limit),
                httpx.AsyncClient(timeout=limit) as client,
                client.stream(
                    "POST", settings.TRANSCRIBER_URL, headers=headers, data=fields, files=files
                ) as response,
            ):
                async for chunk in response.aiter_raw():
                    content += chunk
                    if len(content) > MAX_ANSWER_BYTES:
                        raise TranscriberError("The transcriber's answer is too large.")
                return response.status_code, bytes(content)
        except TimeoutError:
            raise TranscriberError(f"The transcriber took more than {limit} seconds.") from None
        except httpx.HTTPError as error:
            # The text of a LocalProtocolError may quote our headers, in an escaped form.
            text = "" if isinstance(error, httpx.LocalProtocolError) else str(error)
            reason = clean_reason(f"{type(error).__name__} {text}")
            raise TranscriberError(f"The transcriber cannot be reached: {reason}") from None


def describe_failure(status: int, content: bytes) -> str:
    """Return a sentence for the log, with the reason that the server gives, but never the key."""
    try:
        reason = clean_reason(json.loads(content)["error"]["message"])
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        reason = ""
    parts = [f"The transcriber answered {status}", HINTS.get(status, ""), reason]
    return ": ".join(filter(None, parts))


def clean_reason(text: str) -> str:
    """Return the start of the text on one line, without the key."""
    reason = clean(text)
    if key := clean(settings.TRANSCRIBER_KEY):
        reason = reason.replace(key, "…")
    return reason[:MAX_REASON]


def parse_answer(content: bytes, seconds: float) -> list[Segment]:
    """Return the segments of an answer, or one without times.

    Raises ValueError and others if it is not as documented.
    """
    answer = json.loads(content)
    text = clean(answer["text"])
    if segments := answer.get("segments"):
        return list(read_segments(segments, seconds))
    return [Segment(None, None, text)] if text else []


def read_segments(found: Iterable[dict[str, Any]], seconds: float) -> Iterable[Segment]:
    """Yield the segments that are speech. Impossible times are left out."""
    for each in found:
        text = clean(each["text"])
        if (
            text
            and (each.get("avg_logprob") or 0) > MIN_LOGPROB
            and (each.get("compression_ratio") or 0) < MAX_COMPRESSION
        ):
            yield Segment(
                read_time(each.get("start"), seconds), read_time(each.get("end"), seconds), text
            )


def read_time(value: Any, seconds: float) -> float | None:
    """Return a time in the recording, or None. Whisper counts in parts of 30 seconds."""
    is_time = isinstance(value, int | float) and 0 <= value <= seconds + PART
    return round(value, 2) if is_time else None


def clean(text: str) -> str:
    """Return the text on one line, without characters that cannot be printed or encoded."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())
