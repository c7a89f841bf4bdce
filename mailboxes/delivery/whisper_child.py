"""The child process that transcribes a recording with Whisper (see transcribers.py).

Its arguments are the folder of the model, the rate of the samples, and limits of time (seconds) and
memory (bytes). It reads the samples (mono, 16 bit) once it can open neither files nor connections,
and writes segments as JSON.
"""

import json
import os
import resource
import signal
import sys
from contextlib import suppress
from pathlib import Path

import av
import numpy

RATE = 16_000  # samples a second, of all Whisper models
NICENESS = 10  # others go first; a processor that they keep busy leaves this process a tenth


def yield_to_others() -> None:
    """Let the server and other jobs go first. This process leads a session of its own."""
    os.nice(NICENESS)
    # Most kernels divide the time among sessions first (sched(7), "The autogroup feature"). There
    # the niceness of a process counts only within its session, and this is the session's.
    with suppress(OSError):  # this kernel does not
        Path("/proc/self/autogroup").write_text(str(NICENESS))


def limit_process(seconds: int, memory: int) -> None:
    """Limit time (seconds) and memory (bytes), even if the parent process is killed."""
    signal.alarm(seconds)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # its parent decides when it ends
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def load_model(folder: str):
    """Load the model and the detector of speech, then forbid to open files."""
    from faster_whisper import WhisperModel
    from faster_whisper.vad import get_vad_model

    get_vad_model()
    model = WhisperModel(
        folder, device="cpu", compute_type="int8", cpu_threads=1, local_files_only=True
    )
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))  # standard input and output are open
    return model


def convert(samples: bytes, rate: int) -> numpy.ndarray:
    """Return the samples as floats, at the rate of the models."""
    frame = av.AudioFrame.from_ndarray(
        numpy.frombuffer(samples, "<i2").reshape(1, -1), format="s16", layout="mono"
    )
    frame.sample_rate = rate
    resampler = av.AudioResampler(format="flt", layout="mono", rate=RATE)
    frames = [*resampler.resample(frame), *resampler.resample(None)]
    return numpy.concatenate([each.to_ndarray().reshape(-1) for each in frames])


def transcribe(model, audio: numpy.ndarray) -> list[dict]:
    """Return the segments with speech. The same audio gives the same segments.

    By default, an improbable guess is followed by random ones, and nonsense in one segment spoils
    the next ones.
    """
    segments, _info = model.transcribe(
        audio,
        vad_filter=True,  # silence, tones and noise give no segments
        temperature=0.0,
        condition_on_previous_text=False,
        repetition_penalty=1.1,
        no_repeat_ngram_size=4,
    )
    return [
        {
            "start": segment.start,
            "end": segment.end,
            "text": segment.text,
            "avg_logprob": segment.avg_logprob,
            "compression_ratio": segment.compression_ratio,
        }
        for segment in segments
    ]


if __name__ == "__main__":
    folder, rate, seconds, memory = sys.argv[1:]
    yield_to_others()
    limit_process(int(seconds), int(memory))
    model = load_model(folder)
    json.dump(transcribe(model, convert(sys.stdin.buffer.read(), int(rate))), sys.stdout)
