"""Files that break off are refused; whole ones with odd ends are not."""

import random
import struct
from array import array

import pytest

from mailboxes.audio.decoder import decoder
from mailboxes.audio.decoding import BROKEN_OFF, UnusableAudioError
from mailboxes.models import Mailbox
from tests.audio.encoding import ENCODERS, FILES, VARIABLE_MP3, encode, encode_tone, make_file
from tests.recordings import make_form

MISSING_SECONDS = 0.25  # of audio; a file may end so much before it says
# These do not say how long they are.
OPEN_ENDED = {"mp3 without length", "m4a in fragments", "chromium.webm", "chromium.m4a"}
# Each leaves out more than MISSING_SECONDS.
CUTS = [part / 20 for part in range(1, 17)]

CLOSED = [*ENCODERS, *FILES]

NOISE = random.Random(1).randbytes(5000)
PICTURE = b"\x89PNG\r\n\x1a\n" + random.Random(2).randbytes(300_000)


def decode_seconds(data) -> float:
    return decoder.decode(data).seconds


def add_part(name, content) -> bytes:
    return name + struct.pack("<I", len(content)) + content + bytes(len(content) % 2)


def split_wav(data=None) -> tuple[bytes, bytes]:
    """Return the format and the audio of a WAV file: the contents of these parts."""
    data = data or encode_tone("wav 16 bit")
    start = data.index(b"data")
    return data[20 : 20 + int.from_bytes(data[16:20], "little")], data[start + 8 :]


def make_wav(*parts) -> bytes:
    content = b"WAVE" + b"".join(add_part(*part) for part in parts)
    return b"RIFF" + struct.pack("<I", len(content)) + content


def set_sizes(data, riff, audio) -> bytes:
    changed, start = bytearray(data), data.index(b"data")
    changed[4:8] = struct.pack("<I", riff)
    changed[start + 4 : start + 8] = struct.pack("<I", audio)
    return bytes(changed)


@pytest.mark.parametrize("name", [name for name in CLOSED if name not in OPEN_ENDED])
def test_file_that_breaks_off_is_refused(name):
    data = make_file(name)
    for cut in CUTS:
        with pytest.raises(UnusableAudioError):
            decoder.decode(data[: round(len(data) * cut)])


@pytest.mark.long
@pytest.mark.parametrize("name", [name for name in CLOSED if name not in OPEN_ENDED])
def test_file_cut_anywhere_is_refused_or_misses_little(name):
    data = make_file(name)
    seconds = decode_seconds(data)
    for end in range(1, len(data), max(len(data) // 500, 1)):
        try:
            missing = seconds - decode_seconds(data[:end])
        except UnusableAudioError:
            continue
        assert missing < MISSING_SECONDS, end


def test_broken_off_file_is_named_as_such(service, account):
    mailbox = Mailbox.objects.create(account=account, name="Sales")
    recording = encode_tone("wav 16 bit")[:-2]
    answer = service.post(f"/voip/mailbox/{mailbox.uuid}/messages", **make_form(recording))
    assert answer.status == 400
    assert [error["message"] for error in answer.errors["recording"]] == [BROKEN_OFF]


@pytest.mark.parametrize("cut", [4, 5, 6, 26, 27, 28, -1])
def test_ogg_file_that_breaks_off_in_its_last_page_is_refused(cut):
    data = encode_tone("ogg opus")
    page = data.rindex(b"OggS")
    with pytest.raises(UnusableAudioError):
        decoder.decode(data[:cut] if cut < 0 else data[: page + cut])


# Left by Asterisk 22 and libsndfile (FreeSWITCH) when they are killed: 0, 0 and 8, 0. Written to a
# pipe by FFmpeg, SoX, and arecord.
@pytest.mark.parametrize(
    ("riff", "audio"),
    [
        (0, 0),
        (8, 0),
        (0xFFFF_FFFF, 0xFFFF_FFFF),
        (0x7FFF_F024, 0x7FFF_F000),
        (0x8000_0024, 0x8000_0000),
    ],
)
@pytest.mark.parametrize("name", ["wav 16 bit", "wav 24 bit", "wav µ-law", "asterisk-gsm.wav"])
def test_wav_file_with_an_unfinished_header_comes_in(name, riff, audio):
    whole = make_file(name)
    recording = decoder.decode(set_sizes(whole, riff, audio))
    assert recording.samples == decoder.decode(whole).samples
    # The last block was written in part.
    assert decode_seconds(set_sizes(whole, riff, audio)[:-1]) == pytest.approx(
        recording.seconds, abs=0.05
    )


def test_unfinished_wav_file_with_a_long_text_in_front_comes_in():
    wav_format, audio = split_wav()
    text = b"INFOISFT" + struct.pack("<I", 20_000) + b"x" * 20_000
    whole = make_wav((b"fmt ", wav_format), (b"LIST", text), (b"data", audio))
    assert decode_seconds(whole) == decode_seconds(set_sizes(whole, 0, 0)) == 2.0


def test_wav_file_without_audio_is_not_kept(service, account, settings):
    """A caller who hangs up at once leaves one."""
    settings.MESSAGE_MIN_SECONDS = 0
    mailbox = Mailbox.objects.create(account=account, name="Sales")
    wav_format, _audio = split_wav()
    empty = make_wav((b"fmt ", wav_format), (b"data", b""))
    answer = service.post(f"/voip/mailbox/{mailbox.uuid}/messages", **make_form(empty))
    assert (answer.status, answer.result) == (200, {})
    assert not mailbox.messages.exists()


@pytest.mark.parametrize(
    "parts",
    [
        [(b"LIST", b"INFOISFT\x03\0\0\0abc\0")],
        [(b"bext", bytes(602))],
        [(b"id3 ", b"ID3" + bytes(7))],
    ],
)
def test_wav_file_with_other_parts_comes_in(parts):
    wav_format, audio = split_wav()
    form, sound = (b"fmt ", wav_format), (b"data", audio)
    assert decode_seconds(make_wav(form, *parts, sound)) == 2.0
    assert decode_seconds(make_wav(form, sound, *parts)) == 2.0


def test_wav_file_of_odd_length_comes_in():
    wav_format, audio = split_wav(encode_tone("wav µ-law"))
    odd = make_wav((b"fmt ", wav_format), (b"data", audio[:-1]))
    assert decode_seconds(odd) == decode_seconds(odd[:-1]) == pytest.approx(2, abs=0.001)


@pytest.mark.parametrize("name", CLOSED)
@pytest.mark.parametrize("garbage", [NOISE, bytes(5000)], ids=["noise", "zeros"])
def test_garbage_after_a_whole_file_is_ignored(name, garbage):
    whole = make_file(name)
    assert decode_seconds(whole + garbage) == pytest.approx(decode_seconds(whole), abs=0.1)


def encode_id3(picture) -> bytes:
    content = b"\0image/png\0\3\0" + picture
    frames = b"TIT2" + struct.pack(">I", 5) + b"\0\0\0\xc4\xd6\xdc\xff"  # Latin-1
    frames += b"APIC" + struct.pack(">I", len(content)) + b"\0\0" + content
    size = len(frames)
    return b"ID3\3\0\0" + bytes(size >> shift & 127 for shift in (21, 14, 7, 0)) + frames


@pytest.mark.parametrize("name", ["mp3", "mp3 of variable rate", "mp3 without length"])
def test_mp3_file_with_tags_comes_in(name):
    file_format = ENCODERS[name][2].get("format", {})
    tone = array("h", split_wav()[1])
    audio = encode(name, 8_000, 1, tone, format=file_format | {"id3v2_version": "0"})
    seconds = decode_seconds(audio)
    lyrics = b"LYRICSBEGIN" + b"x" * 300 + b"000311LYRICS200"
    for tagged in (
        encode_id3(PICTURE) + audio,
        audio + b"TAG" + b"x" * 125,
        audio + b"APETAGEX\xd0\7\0\0" + bytes(500) + b"TAG" + b"x" * 125,
        audio + lyrics + b"TAG" + b"x" * 125,
    ):
        assert decode_seconds(tagged) == pytest.approx(seconds, abs=0.1)


@pytest.mark.parametrize("options", [{}, {"write_xing": "0"}], ids=["length", "no length"])
@pytest.mark.parametrize("quiet_first", [True, False])
def test_mp3_file_of_very_variable_rate_comes_in(options, quiet_first):
    """A player would guess a duration of minutes by the rate of the first frames."""
    noise = random.Random(3)
    parts = [bytes(8_000 * 2 * 6), noise.randbytes(8_000 * 2 * 6)]
    samples = array("h", b"".join(parts if quiet_first else reversed(parts)))
    data = encode("mp3", 8_000, 1, samples, format=options, **VARIABLE_MP3)
    assert decode_seconds(data) == pytest.approx(12, abs=0.2)


def encode_flac_picture(picture) -> bytes:
    content = struct.pack(">II", 3, 9) + b"image/png" + bytes(20)
    content += struct.pack(">I", len(picture)) + picture
    return b"\6" + len(content).to_bytes(3, "big") + content


def test_flac_file_with_a_picture_comes_in():
    data = encode_tone("flac")
    after_head = 42  # the name, and the block of a fixed size that each file begins with
    with_picture = data[:after_head] + encode_flac_picture(PICTURE) + data[after_head:]
    assert decode_seconds(with_picture) == 2.0


def test_flac_file_of_unknown_length_comes_in():
    data = bytearray(encode_tone("flac"))
    data[21] &= 0xF0
    data[22:26] = bytes(4)
    assert decode_seconds(bytes(data)) == 2.0


def test_m4a_file_with_a_picture_comes_in():
    def box(name, content) -> bytes:
        return struct.pack(">I", len(content) + 8) + name + content

    handler = box(b"hdlr", bytes(8) + b"mdirappl" + bytes(9))
    cover = box(b"covr", box(b"data", b"\0\0\0\x0e" + bytes(4) + PICTURE))
    user_data = box(b"udta", box(b"meta", bytes(4) + handler + box(b"ilst", cover)))
    data = encode_tone("m4a")  # its index is at the end
    start = data.index(b"moov") - 4
    with_picture = data[:start] + box(b"moov", data[start + 8 :] + user_data)
    assert decode_seconds(with_picture) == decode_seconds(data)


@pytest.mark.parametrize("name", ["ogg opus", "flac", "webm", "m4a", "m4a with index in front"])
def test_file_with_comments_comes_in(name):
    tone = array("h", split_wav()[1])
    comments = {"title": "x" * 70_000, "artist": "Łukasz"}
    assert decode_seconds(encode(name, 8_000, 1, tone, comments)) == pytest.approx(2, abs=0.1)
