"""Files that nobody should send."""

import struct
from array import array
from itertools import cycle, islice
from random import Random
from tempfile import NamedTemporaryFile

import av

from tests.audio.encoding import ENCODERS, FILES, encode_tone, make_file

SECRET = "/etc/passwd"
EXTREMES = [0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]


def make_references(port) -> dict[str, bytes]:
    """Return files that name other files and addresses. Nothing may open them."""
    url = f"http://127.0.0.1:{port}"
    texts = {
        "playlist": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{url}/x.wav\n#EXT-X-ENDLIST\n",
        "playlist of a file": f"#EXTM3U\n#EXTINF:9,\nfile://{SECRET}\n#EXT-X-ENDLIST\n",
        "list of parts": f"ffconcat version 1.0\nfile {SECRET}\nfile {url}/x.wav\n",
        "presentation": '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period>'
        '<AdaptationSet mimeType="audio/mp4"><Representation id="1" bandwidth="1">'
        f"<BaseURL>{url}/x.mp4</BaseURL></Representation></AdaptationSet></Period></MPD>",
        "session": f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
        f"m=audio {port} RTP/AVP 0\n",
        "picture": '<svg xmlns="http://www.w3.org/2000/svg" '
        f'xmlns:xlink="http://www.w3.org/1999/xlink"><image xlink:href="{url}/x.png"/>'
        f'<image xlink:href="file://{SECRET}"/></svg>',
        "subtitles": f"[Script Info]\nTitle: {url}\n[Events]\nDialogue: 0,0:00:00.00,0:00:09.00,,x\n",
        "redirect": f"[reference]\nRef1={url}/x.wav\n",
        "drawing": f"mvg\nimage over 0,0 0,0 '{url}/x.png'\n",
        "program": f"#!/bin/sh\ncurl {url}\n",
    }
    return {name: text.encode() for name, text in texts.items()}


def make_video() -> bytes:
    """Return an MP4 file with a picture that moves, and no sound."""
    with NamedTemporaryFile() as file:
        with av.open(file.name, "w", format="mp4") as container:
            stream = container.add_stream("mpeg4", rate=10)
            stream.width = stream.height = 64
            stream.pix_fmt = "yuv420p"
            for number in range(20):
                frame = av.VideoFrame(64, 64, "yuv420p")
                for plane in frame.planes:
                    plane.update(bytes([number * 10]) * plane.buffer_size)
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return file.read()


def make_silence(seconds, file_format="flac", codec="flac", rate=8_000) -> bytes:
    """Return hours of silence, in few bytes."""
    options = {"frame_duration": "60"} if codec == "libopus" else {}
    with NamedTemporaryFile() as file:
        with av.open(file.name, "w", format=file_format) as container:
            stream = container.add_stream(codec, rate=rate, layout="mono", options=options)
            context = stream.codec_context
            context.open(strict=False)
            samples = context.frame_size or 4096
            frame = av.AudioFrame("s16", "mono", samples, align=1)
            frame.planes[0].update(bytes(samples * 2))
            frame.sample_rate = rate
            for number in range(seconds * rate // samples):
                frame.pts = number * samples
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))
        return file.read()


def make_long_wav(minutes) -> bytes:
    """Return a WAV file of silence, of 8 bit."""
    size = minutes * 60 * 8_000
    wav_format = struct.pack("<HHIIHH", 1, 1, 8_000, 8_000, 1, 8)
    content = b"WAVEfmt \x10\0\0\0" + wav_format + b"data" + struct.pack("<I", size)
    return b"RIFF" + struct.pack("<I", size + 36) + content + b"\x80" * size


def patch(data, position, layout, *values) -> bytes:
    changed = bytearray(data)
    struct.pack_into(layout, changed, position, *values)
    return bytes(changed)


def make_wrong_headers() -> dict[str, bytes]:
    wav, flac = encode_tone("wav 16 bit"), encode_tone("flac")
    mp3, m4a, webm, ogg = map(encode_tone, ("mp3", "m4a", "webm", "ogg opus"))
    index = m4a.index(b"moov")
    table = m4a.index(b"stsz", index)
    return {
        "wav that is longer": patch(wav, wav.index(b"data") + 4, "<I", 40_000_000),
        "wav without channels": patch(wav, 22, "<H", 0),
        "wav of 65,535 channels": patch(wav, 22, "<H", 65_535),
        "wav of 0 Hz": patch(wav, 24, "<I", 0),
        "wav of 1 Hz": patch(wav, 24, "<I", 1),
        "wav of 2 GHz": patch(wav, 24, "<I", 0x7FFFFFFF),
        "wav of empty blocks": patch(wav, 32, "<H", 0),
        "wav of large blocks": patch(wav, 32, "<H", 0xFFFF),
        "wav of 65,535 bit": patch(wav, 34, "<H", 0xFFFF),
        "wav of a long format": patch(wav, 16, "<I", 0xFFFFFFFF),
        "wav of many parts": wav[:12] + b"junk\0\0\0\0" * 400_000,
        "wav of many formats": wav[:12] + wav[12:36] * 150_000,
        "flac of 36 days": patch(flac, 21, ">BI", flac[21] | 0x0F, 0xFFFFFFFF),
        "flac without blocks": patch(flac, 8, ">HH", 0, 0),
        "flac of a long block": patch(flac, 5, ">BH", 0xFF, 0xFFFF),
        "mp3 of a long tag": b"ID3\3\0\0\x7f\x7f\x7f\x7f" + mp3,
        "mp3 of a tag full of starts": b"ID3\3\0\0\2\0\0\0" + b"\xff\xfb" * 2**21 + mp3,
        "mp3 of many frames": mp3.replace(b"Info\0\0\0\x0f\0\0", b"Info\0\0\0\x0f\xff\xff"),
        "m4a of a long index": patch(m4a, index - 4, ">I", 0xFFFFFFFF),
        "m4a of many samples": patch(m4a, table + 12, ">I", 0xFFFFFFFF),
        "m4a of an index in itself": m4a[: index - 4] + b"\0\0\0\x08moov" * 100_000,
        "webm of a long segment": webm.replace(
            b"\x18\x53\x80\x67\x01\0\0\0", b"\x18\x53\x80\x67\x01\xff\xff\xff"
        ),
        "webm of many levels": webm[:64]
        + b"\x18\x53\x80\x67\x01\xff\xff\xff\xff\xff\xff\xff" * 9999,
        "ogg of many streams": b"".join(
            patch(ogg[:47], 14, "<I", number) for number in range(50_000)
        ),
        "ogg of many pages": ogg + ogg[-200:] * 5000,
    }


def mutate(random: Random, files: list[bytes]) -> bytes:
    """Return one of the files with a few changes."""
    data = bytearray(random.choice(files))
    for _change in range(random.randint(1, 8)):
        # Headers are the more interesting part.
        end = len(data) if random.random() < 0.5 else min(len(data), 200)
        position = random.randrange(max(end, 1))
        length = random.choice([1, 2, 4, 16, 256])
        match random.randrange(7):
            case 0:
                data[position : position + 1] = random.randbytes(1)
            case 1:
                data[position : position + length] = random.randbytes(length)
            case 2:
                value, order = random.choice(EXTREMES), random.choice("<>")
                data[position : position + 4] = struct.pack(f"{order}I", value)
            case 3:
                del data[position : position + length]
            case 4:
                data[position:position] = data[position : position + length] * random.randint(1, 99)
            case 5:
                data[position:] = random.choice(files)[position:]
            case 6:
                del data[position + len(data) // 2 :]
    return bytes(data)


def make_mutations(number, seed=21) -> list[bytes]:
    random, files = Random(seed), [make_file(name) for name in (*ENCODERS, *FILES)]
    return [mutate(random, files) for _ in range(number)]


def make_noise(size) -> bytes:
    return array("H", islice(cycle(Random(4).choices(range(65_536), k=9973)), size // 2)).tobytes()
