"""Greetings: no silence at the ends, levelled loudness, two forms that are kept."""

from collections.abc import Iterator
from itertools import chain

import av

from mailboxes.audio.recordings import SAMPLE_BYTES, Greeting, Recording

MAX_RATE = 48_000  # of the original; browsers record with this rate
TELEPHONE_RATE = 8_000
CHUNK = 9_600  # samples that are filtered at once, to bound the memory

# Filters of FFmpeg, applied in this order. They work on the start, so the audio is turned around
# to cut its end. A tenth of a second of silence stays, so that no sound is cut off.
# The loudness is that of EBU R128, which is how loud people hear it: -18 LUFS, with peaks of at
# most -2 dBTP, so that the lower rate does not clip. Asterisk's prompts are about as loud (-18 to
# -21 dB RMS).
CUT = ("silenceremove", "start_periods=1:start_threshold=-50dB:start_silence=0.1")
TURN = ("areverse", "")
LEVEL = ("loudnorm", "I=-18:TP=-2:LRA=7")
FILTERS = (CUT, TURN, CUT, TURN, LEVEL)


def limit_rate(rate: int) -> int:
    """Return the rate to keep of the original."""
    return min(max(rate, TELEPHONE_RATE), MAX_RATE)


def level(recording: Recording) -> Greeting:
    """Cut silence at both ends, and level the loudness. A silent recording becomes empty.

    This takes over a second for 90, so the child process that decodes does it (see decoding.py).
    """
    original = apply_filters(recording, FILTERS, recording.rate)
    return Greeting(original, apply_filters(original, (), TELEPHONE_RATE))


def apply_filters(recording: Recording, filters, rate: int) -> Recording:
    """Return the filtered recording at this rate."""
    graph = av.filter.Graph()
    source = graph.add(
        "abuffer",
        f"sample_rate={recording.rate}:sample_fmt=s16:channel_layout=mono:"
        f"time_base=1/{recording.rate}",
    )
    resampler = ("aresample", str(rate))
    form = ("aformat", "sample_fmts=s16:channel_layouts=mono")
    nodes = [graph.add(name, options) for name, options in (*filters, resampler, form)]
    sink = graph.add("abuffersink")
    graph.link_nodes(source, *nodes, sink).configure()
    samples = bytearray()
    for frame in chain(make_frames(recording), [None]):
        source.push(frame)
        samples += b"".join(pull(sink))
    return Recording(rate, bytes(samples))


def make_frames(recording: Recording) -> Iterator[av.AudioFrame]:
    size = CHUNK * SAMPLE_BYTES
    for start in range(0, len(recording.samples), size):
        samples = recording.samples[start : start + size]
        frame = av.AudioFrame("s16", "mono", len(samples) // SAMPLE_BYTES, align=1)
        frame.planes[0].update(samples)
        frame.sample_rate, frame.pts = recording.rate, start // SAMPLE_BYTES
        yield frame


def pull(sink) -> Iterator[bytes]:
    """Yield the samples that the filters have finished."""
    while True:
        try:
            frame = sink.pull()
        except (BlockingIOError, EOFError):
            return
        yield bytes(frame.planes[0])[: frame.samples * SAMPLE_BYTES]
