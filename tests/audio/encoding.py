"""Recordings in each format that is accepted, made by real encoders.

Those in `files` were made by encoders that are not in requirements/: Asterisk 22 (Record, wav49),
libsndfile 1.2.2 with libgsm, libvorbis and libopus, and MediaRecorder of Chromium 156. Each holds
the tone of `tests.recordings`.
"""

from array import array
from functools import cache
from itertools import product
from pathlib import Path
from tempfile import NamedTemporaryFile

import av

from tests.recordings import make_samples

FILES = {path.name: path for path in sorted(Path(__file__).with_name("files").iterdir())}

SECONDS = 2.0
RATES = [8_000, 11_025, 16_000, 22_050, 44_100, 48_000]
OPUS_RATE = 48_000  # of every Opus stream (RFC 7845, 5.1)
# A file without a header counts the silence in front of and behind its audio.
BARE_MP3 = {"format": {"write_xing": "0"}}
VARIABLE_MP3 = {"codec": {"flags": "+qscale", "global_quality": "590"}}

# Name: file format and codec, as FFmpeg names them, and options.
ENCODERS = {
    "wav 16 bit": ("wav", "pcm_s16le", {}),
    "wav 8 bit": ("wav", "pcm_u8", {}),
    "wav 24 bit": ("wav", "pcm_s24le", {}),
    "wav 32 bit": ("wav", "pcm_s32le", {}),
    "wav float": ("wav", "pcm_f32le", {}),
    "wav µ-law": ("wav", "pcm_mulaw", {}),
    "wav A-law": ("wav", "pcm_alaw", {}),
    "mp3": ("mp3", "libmp3lame", {}),
    "mp3 of variable rate": ("mp3", "libmp3lame", VARIABLE_MP3),
    "mp3 without length": ("mp3", "libmp3lame", BARE_MP3),
    "ogg opus": ("ogg", "libopus", {}),
    "flac": ("flac", "flac", {}),
    "webm": ("webm", "libopus", {}),
    "m4a": ("ipod", "aac", {}),
    "m4a with index in front": ("ipod", "aac", {"format": {"movflags": "faststart"}}),
    "m4a in fragments": (
        "mp4",
        "aac",
        {"format": {"movflags": "frag_keyframe+empty_moov", "frag_duration": "500000"}},
    ),
}


@cache
def encode_tone(encoder, rate=8_000, channels=1, seconds=SECONDS) -> bytes:
    tone = make_samples(seconds, rate)
    return encode(encoder, rate, channels, array("h", (x for x in tone for _ in range(channels))))


def encode(encoder, rate, channels, samples, metadata=(), **options) -> bytes:
    """Encode samples of 16 bit, those of the channels in turn."""
    file_format, codec, more = ENCODERS[encoder]
    options = more | options
    layout = "mono" if channels == 1 else "stereo"
    frame = av.AudioFrame("s16", layout, len(samples) // channels, align=1)
    frame.planes[0].update(samples.tobytes())
    frame.sample_rate, frame.pts = rate, 0
    # A file with a name, because some options make FFmpeg read it again.
    with NamedTemporaryFile() as file:
        with av.open(
            file.name, "w", format=file_format, options=options.get("format", {})
        ) as container:
            container.metadata.update(metadata)
            stream = container.add_stream(
                codec,
                rate=OPUS_RATE if codec == "libopus" else rate,
                layout=layout,
                options=options.get("codec", {}),
            )
            context = stream.codec_context
            context.open(strict=False)
            resampler = av.AudioResampler(
                context.format.name, layout, context.sample_rate, context.frame_size or 1024
            )
            for part in resampler.resample(frame) + resampler.resample(None):
                container.mux(stream.encode(part))
            container.mux(stream.encode(None))
        return file.read()


# Name: encoder, rate and channels.
TONES = {
    f"{encoder}, {rate} Hz": (encoder, rate, channels)
    for encoder, (rate, channels) in product(ENCODERS, [(8_000, 1), (44_100, 2)])
}


def make_file(name) -> bytes:
    """Return the recording of this name in FILES or TONES, or the tone of this encoder.

    Only a test that runs makes one: to encode them all takes a second.
    """
    return FILES[name].read_bytes() if name in FILES else encode_tone(*TONES.get(name, [name]))
