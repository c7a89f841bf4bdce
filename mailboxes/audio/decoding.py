"""Decoding of audio files by FFmpeg, in a child process of its own (see decoder.py).

Files come from strangers, and FFmpeg is written in C. So this process has no settings of the
service, and can open neither files nor connections.
"""

import importlib
import io
import json
import pkgutil
import resource
import signal
import struct
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO, NoReturn

import av
from av.error import FFmpegError

from mailboxes.audio.endings import breaks_off, complete_wav
from mailboxes.audio.greetings import level, limit_rate
from mailboxes.audio.recordings import Greeting, Recording, describe_seconds

# A message between the two processes is its length, then its bytes.
LENGTH = struct.Struct(">I")
READY = b"ready"

MEMORY_BYTES = 512 * 1024**2  # of address space; the libraries take a quarter of it
TIME_LIMIT = 30  # seconds, of one recording; 15 minutes of audio take one
NARROW_RATE, WIDE_RATE = 8_000, 16_000  # samples a second

# FFmpeg's names. Some of its other formats name further files or addresses, and open them.
FORMATS = "wav,mp3,ogg,flac,matroska,webm,mov,mp4,m4a"
CODECS = {
    *("pcm_s16le", "pcm_u8", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_mulaw", "pcm_alaw"),
    *("gsm_ms", "mp3", "mp3float", "opus", "vorbis", "flac", "aac"),
}
OPTIONS = {
    "format_whitelist": FORMATS,
    "codec_whitelist": ",".join(CODECS),
    "protocol_whitelist": "none",
}
MIN_SECONDS = 0.1  # of a greeting

RATES = range(4_000, 192_001)
MAX_CHANNELS = 8
MATROSKA = b"\x1a\x45\xdf\xa3"  # the start of such a file, also of a WebM file

NO_AUDIO = "Send a recording as WAV, MP3, Ogg, FLAC, WebM or M4A."
BROKEN_OFF = "The recording breaks off: send the whole file."
ONLY_SILENCE = "The recording is silent, or too quiet to be heard."


class UnusableAudioError(ValueError):
    """The file is no recording that is accepted. The text says why, for its sender."""


def choose_message_rate(rate: int) -> int:
    """Return the rate to keep of a message: 8 kHz of telephone quality, and 16 kHz of better.

    Speech recognition uses no more.
    """
    return NARROW_RATE if rate <= NARROW_RATE else WIDE_RATE


def decode(
    data: bytes, max_seconds: float, choose_rate: Callable[[int], int] = choose_message_rate
) -> Recording:
    """Return the recording in an audio file. `choose_rate` gets the file's rate.

    Raises UnusableAudioError.
    """
    data = complete_wav(data)
    file = io.BytesIO(data)
    # Browsers record without a duration. If FFmpeg cannot seek, it does not guess one by the size.
    source = Unseekable(file) if data.startswith(MATROSKA) else file
    try:
        with av.open(source, options=OPTIONS, metadata_errors="ignore") as container:
            return decode_stream(container, data, max_seconds, choose_rate)
    except (FFmpegError, ValueError, OverflowError, MemoryError) as error:
        if isinstance(error, UnusableAudioError):
            raise
        raise UnusableAudioError(NO_AUDIO) from None


class Unseekable:
    """A file without `seek`, so that FFmpeg does not guess a duration from its size."""

    def __init__(self, file: BinaryIO):
        self.read = file.read


def decode_stream(container, data: bytes, max_seconds: float, choose_rate) -> Recording:
    stream = next(iter(container.streams.audio), None)
    context = stream and stream.codec_context
    if (
        not context
        or context.name not in CODECS
        or context.sample_rate not in RATES
        or not 1 <= context.channels <= MAX_CHANNELS
    ):
        raise UnusableAudioError(NO_AUDIO)
    context.thread_count = 1
    rate = choose_rate(context.sample_rate)
    resampler = av.AudioResampler(format="s16", layout="mono", rate=rate)
    samples, seconds = bytearray(), 0.0
    positions: list[int] = []
    try:
        for frame in read_frames(container, stream, positions):
            seconds += frame.samples / frame.sample_rate
            if round(seconds, 3) > max_seconds:
                most = describe_seconds(max_seconds)
                raise UnusableAudioError(f"The recording is longer than {most}.")
            frame.pts = None
            samples += read_samples(resampler.resample(frame))
        samples += read_samples(resampler.resample(None))
    except FFmpegError:
        raise UnusableAudioError(BROKEN_OFF) from None
    if not samples:
        # A caller who hangs up at once leaves a WAV file without audio.
        if container.format.name == "wav":
            return Recording(rate, b"")
        raise UnusableAudioError(NO_AUDIO)
    if breaks_off(container, data, positions, seconds):
        raise UnusableAudioError(BROKEN_OFF)
    return Recording(rate, bytes(samples))


def decode_greeting(data: bytes, max_seconds: float) -> Greeting:
    """Return the greeting in an audio file. Raises UnusableAudioError."""
    greeting = level(decode(data, max_seconds, limit_rate))
    if greeting.telephone.seconds < MIN_SECONDS:
        raise UnusableAudioError(ONLY_SILENCE)
    return greeting


def read_frames(container, stream, positions: list) -> Iterator:
    """Yield frames, and add the positions of packets. Raises UnusableAudioError, FFmpegError."""
    has_ended = False
    for packet in container.demux(stream):
        if packet.is_corrupt:
            raise UnusableAudioError(BROKEN_OFF)
        try:
            frames = packet.decode()
        except FFmpegError:
            # Other programs' tags may follow the audio of an MP3 file.
            if container.format.name != "mp3":
                raise
            has_ended = True
        else:
            if frames and has_ended:
                raise UnusableAudioError(BROKEN_OFF)
            if packet.size:
                positions.append(packet.pos)
            yield from frames


def read_samples(frames) -> bytes:
    return b"".join(bytes(frame.planes[0])[: frame.samples * 2] for frame in frames)


def limit_process() -> None:
    # The library imports some of its modules when it needs them, which is impossible later.
    for module in pkgutil.walk_packages(av.__path__, "av."):
        if module.name != "av.__main__":
            importlib.import_module(module.name)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))  # standard input and output are open already
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    # Its parent decides when it ends, so that a recording that has arrived is still decoded.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    av.logging.set_level(av.logging.PANIC)


def read_message(file: BinaryIO) -> bytes:
    """Read one message. Raises EOFError if the other process has ended."""
    (size,) = LENGTH.unpack(read_exactly(file, LENGTH.size))
    return read_exactly(file, size)


def read_exactly(file: BinaryIO, size: int) -> bytes:
    content = file.read(size)
    if len(content) < size:
        raise EOFError
    return content


def write_message(file: BinaryIO, message: bytes) -> None:
    file.write(LENGTH.pack(len(message)) + message)
    file.flush()


USES: dict[str, Callable[[bytes, float], Sequence[Recording]]] = {
    "message": lambda data, max_seconds: [decode(data, max_seconds)],
    "greeting": decode_greeting,
}


def serve() -> NoReturn:
    """Decode recordings until the parent ends.

    Write READY. For each recording, read the name of its use, a key of USES, and the most seconds;
    then read the file. Write the rates, and the samples for each of them; or an error.
    """
    reader, writer = sys.stdin.buffer, sys.stdout.buffer
    write_message(writer, READY)
    while True:
        try:
            use, max_seconds = json.loads(read_message(reader))
            data = read_message(reader)
        except EOFError:
            sys.exit()
        signal.alarm(TIME_LIMIT)  # ends this process, also if the parent has ended meanwhile
        try:
            recordings = USES[use](data, max_seconds)
        except UnusableAudioError as error:
            write_message(writer, json.dumps({"error": str(error)}).encode())
        else:
            rates = [recording.rate for recording in recordings]
            write_message(writer, json.dumps({"rates": rates}).encode())
            for recording in recordings:
                write_message(writer, recording.samples)
        signal.alarm(0)


if __name__ == "__main__":
    limit_process()
    serve()
