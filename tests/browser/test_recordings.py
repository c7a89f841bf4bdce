"""Recordings in Chromium: each format is heard and seeked, and its own come in."""

import base64
from contextlib import closing

import pytest

from mailboxes.models import Account, Mailbox
from tests.audio.encoding import ENCODERS, FILES, TONES, encode_tone, make_file
from tests.audio.test_formats import LENGTHS, LEVEL, TONE
from tests.conftest import headers_for
from tests.recordings import make_form
from tests.service import InProcess

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]

# Decode what the service serves, and return its length, level and tone, of the middle.
LISTEN = """
    async (path) => {
        const content = await (await fetch(path)).arrayBuffer();
        const audio = await new OfflineAudioContext(1, 1, 16000).decodeAudioData(content);
        const samples = audio.getChannelData(0).slice(4000, -4000);
        let power = 0, changes = 0;
        samples.forEach((sample, number) => {
            power += sample * sample;
            changes += number > 0 && (sample < 0) !== (samples[number - 1] < 0);
        });
        return {
            seconds: audio.duration,
            level: Math.sqrt(power / samples.length) * 32768,
            tone: changes / 2 / (samples.length / audio.sampleRate),
        };
    }
"""
SEEK = """
    async ([path, position]) => {
        const audio = new Audio(path);
        await new Promise((resolve, reject) => {
            audio.onloadedmetadata = resolve;
            audio.onerror = () => reject(new Error(audio.error.message));
        });
        const seeked = new Promise((resolve) => { audio.onseeked = resolve; });
        audio.currentTime = position;
        await seeked;
        await audio.play();
        await new Promise((resolve) => { audio.ontimeupdate = resolve; });
        audio.pause();
        return [audio.duration, audio.currentTime];
    }
"""
# Record a tone with MediaRecorder, and return the file in base64.
RECORD = """
    async ([type, milliseconds]) => {
        const context = new AudioContext();
        const oscillator = new OscillatorNode(context, {frequency: 440});
        const gain = new GainNode(context, {gain: 8000 / 32768});
        const output = new MediaStreamAudioDestinationNode(context);
        oscillator.connect(gain).connect(output);
        oscillator.start();
        const recorder = new MediaRecorder(output.stream, {mimeType: type});
        const parts = [];
        recorder.ondataavailable = (event) => parts.push(event.data);
        const stopped = new Promise((resolve) => { recorder.onstop = resolve; });
        recorder.start(200);
        await new Promise((resolve) => setTimeout(resolve, milliseconds));
        recorder.stop();
        await stopped;
        const reader = new FileReader();
        reader.readAsDataURL(new Blob(parts));
        await new Promise((resolve) => { reader.onload = resolve; });
        return reader.result.split(",")[1];
    }
"""


@pytest.fixture
def path():
    account = Account.objects.create(name="acme")
    return f"/voip/mailbox/{Mailbox.objects.create(account=account, name='Sales').uuid}/messages"


@pytest.fixture
def program(path):
    return InProcess(headers_for(Account.objects.get()))


@pytest.fixture
def page(browser, live_server, program):
    """Return a page that sends the program's credential, and the answers as `page.answers`."""
    context = browser.new_context(base_url=live_server.url, extra_http_headers=program.headers)
    with closing(context):
        page = context.new_page()
        page.answers = []
        page.on("response", lambda answer: page.answers.append(answer))
        page.goto("/healthz")
        yield page


def upload(program, path, recording) -> str:
    answer = program.post(path, **make_form(recording))
    assert answer.status == 201
    return f"{path}/{answer.result['uuid']}/recording"


def test_each_format_is_heard_as_it_was_sent(page, program, path):
    for name in (*TONES, *FILES):
        heard = page.evaluate(LISTEN, upload(program, path, make_file(name)))
        assert heard["seconds"] == pytest.approx(LENGTHS.get(name, 2.0), abs=0.2), name
        assert heard["level"] == pytest.approx(LEVEL, rel=0.1), name
        assert heard["tone"] == pytest.approx(TONE, rel=0.02), name


def test_recording_is_seeked(page, program, path):
    for name in (*ENCODERS, *FILES):
        address = upload(program, path, make_file(name))
        duration, position = page.evaluate(SEEK, [address, 1.2])
        assert 1.2 < position < duration
        assert [answer.status for answer in page.answers if answer.url.endswith(address)] == [206]


def test_long_recording_is_seeked_without_all_of_it(page, program, path):
    address = upload(program, path, encode_tone("flac", 16_000, seconds=600))
    duration, position = page.evaluate(SEEK, [address, 590])
    assert duration == 600
    assert 590 < position < 600
    answers = [answer for answer in page.answers if answer.url.endswith(address)]
    ranges = [answer.header_value("content-range") for answer in answers]
    assert {answer.status for answer in answers} == {206}
    assert len(ranges) > 1
    assert not ranges[-1].startswith("bytes 0-")


@pytest.mark.parametrize(
    "media_type",
    ["audio/webm;codecs=opus", "audio/webm;codecs=pcm", "audio/mp4;codecs=opus"],
)
def test_recording_of_the_browser_comes_in(page, program, path, media_type):
    recorded = base64.b64decode(page.evaluate(RECORD, [media_type, 3000]))
    heard = page.evaluate(LISTEN, upload(program, path, recorded))
    assert heard["seconds"] == pytest.approx(3, abs=0.5)
    assert heard["level"] == pytest.approx(LEVEL, rel=0.1)
    assert heard["tone"] == pytest.approx(TONE, rel=0.02)
