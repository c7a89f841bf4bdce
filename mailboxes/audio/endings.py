"""Ends of audio files. FFmpeg does not report that a file declares more than it has."""

import re
import struct

# Of the header of a file and of a part in it: a name, and how many bytes follow (little-endian).
PART = struct.Struct("<4sI")
WAV_HEADER_BYTES = 12
ALIGNMENT = 12  # where a WAV file's format has the bytes of one sample or block
# A program that writes into a pipe declares the largest number that it can, 2 GiB or 4 GiB.
UNKNOWN_SIZE = 0x7FFF_0000

PAGE_HEADER_BYTES = 27  # of an Ogg stream (RFC 3533, 6)
LAST_PAGE = 0x04

# The number of frames of an MP3 file, in a frame in front of them.
MP3_FRAME_BYTES = 2_881  # at most
MP3_FRAMES = re.compile(
    rb"\xff[\xe2-\xff].{11,36}(?:(?:Xing|Info)\0\0\0[\x01\x03\x05\x07\x09\x0b\x0d\x0f]|VBRI.{10})(.{4})",
    re.DOTALL,
)

# An encoder may round the length in the header, or count silence that a decoder removes.
MAX_MISSING_SECONDS = 0.25
DURATION_UNIT = 1_000_000  # of FFmpeg, in a second


def complete_wav(data: bytes) -> bytes:
    """Return the WAV file with the size of its audio in its header.

    A program that is killed, or cannot go back to the header, leaves it without one. Then the audio
    reaches to the end of the file.
    """
    position, alignment = WAV_HEADER_BYTES, 1
    if data[:4] != b"RIFF" or data[8:WAV_HEADER_BYTES] != b"WAVE":
        return data
    while position + PART.size <= len(data):
        name, size = PART.unpack_from(data, position)
        start = position + PART.size
        if name == b"data":
            if 0 < size < UNKNOWN_SIZE:
                return data
            rest = len(data) - start
            return data[:position] + PART.pack(name, rest - rest % alignment) + data[start:]
        if name == b"fmt ":
            field = data[start + ALIGNMENT : start + ALIGNMENT + 2]
            alignment = int.from_bytes(field, "little") or 1
        position = start + size + size % 2
    return data


def breaks_off(container, data: bytes, positions: list[int], seconds: float) -> bool:
    """Return True if the file ends before it says that it does.

    It has packets at these positions, which were decoded to so many seconds.
    """
    match container.format.name:
        case "ogg":
            return not ends_with_last_page(data)
        case "mp3":
            missing = compute_missing_mp3(container.streams.audio[0].codec_context, data, positions)
        case _:
            missing = (container.duration or 0) / DURATION_UNIT - seconds
    return missing > MAX_MISSING_SECONDS


def compute_missing_mp3(context, data: bytes, positions: list[int]) -> float:
    """Return the seconds that are missing, or 0 if the file does not say its length."""
    start = max(positions[0] - 2 * MP3_FRAME_BYTES, 0)
    declared = MP3_FRAMES.search(data, start, positions[0])
    if not declared:
        return 0
    missing = int.from_bytes(declared[1], "big") - len(positions)
    return missing * context.frame_size / context.sample_rate


def ends_with_last_page(data: bytes) -> bool:
    page = data[data.rfind(b"OggS") :]
    if len(page) < PAGE_HEADER_BYTES:
        return False
    flags, segments = page[5], page[PAGE_HEADER_BYTES - 1]
    sizes = page[PAGE_HEADER_BYTES : PAGE_HEADER_BYTES + segments]
    end = PAGE_HEADER_BYTES + segments + sum(sizes)
    return bool(flags & LAST_PAGE) and len(page) >= end
