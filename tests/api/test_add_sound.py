"""POST /voip/sound: a form or JSON with a file; refusals name the field and keep nothing."""

from base64 import b64encode

import pytest

from mailboxes import contract
from mailboxes.audio.decoding import NO_AUDIO, ONLY_SILENCE
from mailboxes.models import Sound, SoundAudio
from mailboxes.storage import recordings_store
from tests.audio.encoding import encode_tone
from tests.recordings import make_form, make_wav
from tests.sounds import create_sound

PATH = "/voip/sound"


@pytest.fixture(autouse=True)
def _recordings(recordings_folder):
    pass


def count_files() -> int:
    return sum(1 for _ in recordings_store().walk())


def add(service, recording=None, **fields):
    return service.post(PATH, **make_form(recording or make_wav(), "file", **fields))


def test_form_makes_a_sound(service, account):
    answer = add(service, name=" Welcome ", tag="Holiday", shared="true")
    assert answer.status == 201
    sound = Sound.objects.get()
    assert answer.result == {
        "audio_type": 1,
        "created_on": str(sound.created_on),
        "file_name": "message.wav",
        "name": "Welcome",
        "shared": True,
        "tag": "Holiday",
        "updated_on": str(sound.updated_on),
        "uuid": str(sound.pk),
    }
    assert list(answer.result) == list(contract.SOUND_KEYS)
    assert (sound.account, sound.audio.duration) == (account, 2)
    assert answer.headers["etag"] == '"1"'
    assert count_files() == 2


def test_left_out_fields_get_defaults(service, account):
    answer = add(service)
    found = {name: answer.result[name] for name in ("name", "shared", "tag")}
    assert found == {"name": "message", "shared": False, "tag": "Greeting"}


def test_mp3_comes_in(service, account):
    assert add(service, encode_tone("mp3", 44_100)).status == 201
    assert Sound.objects.get().audio.duration == 2


@pytest.mark.parametrize("start", ["", "data:audio/wav;base64,"])
def test_json_with_the_file_in_base64_makes_a_sound(service, account, start):
    content = start + b64encode(make_wav()).decode()
    answer = service.post(PATH, {"name": "Hello", "file_name": "hello.wav", "content": content})
    assert answer.status == 201
    assert (answer.result["name"], answer.result["file_name"]) == ("Hello", "hello.wav")


def test_json_may_be_as_long_as_a_form(wire):
    silence = bytes(2 * 8_000 * 80)
    content = b64encode(make_wav() + silence).decode()
    assert len(content) > contract.MAX_BODY_BYTES
    answer = wire.post(PATH, {"name": "Hello", "content": content})
    assert answer.status == 201


@pytest.mark.parametrize(
    ("fields", "field", "code"),
    [
        ({"name": " "}, "name", "blank"),
        ({"name": "x" * 101}, "name", "max_length"),
        ({"name": "a\x07"}, "name", "control_character"),
        ({"tag": "x" * 65}, "tag", "max_length"),
        ({"shared": "maybe"}, "shared", "invalid"),
        ({"name": ["a", "b"]}, "name", "repeated"),
    ],
)
def test_wrong_field_is_400(service, account, fields, field, code):
    answer = add(service, **fields)
    assert (answer.status, list(answer.errors)) == (400, [field])
    assert answer.errors[field][0]["code"] == code
    assert not Sound.objects.exists()
    assert count_files() == 0


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"no audio", NO_AUDIO),
        (make_wav(91), "The recording is longer than 90 seconds."),
        (b"RIFF" + bytes(1000), NO_AUDIO),
    ],
)
def test_file_that_is_no_greeting_is_400(service, account, content, text):
    answer = add(service, content)
    assert answer.status == 400
    assert answer.errors == {"file": [{"code": "invalid", "message": text}]}
    assert count_files() == 0


def test_silence_is_400(service, account):
    wav = make_wav()
    silence = wav[:44] + bytes(len(wav) - 44)
    assert add(service, silence).errors["file"][0]["message"] == ONLY_SILENCE


@pytest.mark.parametrize("fields", [{"name": "Hello"}, {"content": "UklGRg=="}])
def test_form_without_a_file_is_400(service, account, fields):
    answer = service.post(PATH, **make_form(**fields))
    assert (answer.status, list(answer.errors)) == (400, ["file"])


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "file"),
        ({"content": "?"}, "content"),
        ({"content": 5}, "content"),
        ({"content": None}, "content"),
        ({"content": "UklGRg==", "file_name": 5}, "file_name"),
        ({"content": "UklGRg==", "file_name": ".."}, "file_name"),
        ({"content": "UklGRg==", "file_name": ""}, "file_name"),
        ({"content": ""}, "file"),
        ({"file": "UklGRg=="}, "file"),
        ({"file": {"a": 1}}, "file"),
    ],
)
def test_wrong_json_is_400(service, account, body, field):
    answer = service.post(PATH, body)
    assert (answer.status, list(answer.errors)) == (400, [field])


@pytest.mark.parametrize("name", ["../../etc/passwd", "a/b.wav", "C:\\b.wav", "x" * 300 + ".wav"])
def test_file_name_is_cut_to_a_plain_one(service, account, name):
    content = b64encode(make_wav()).decode()
    answer = service.post(PATH, {"name": "Hello", "file_name": name, "content": content})
    assert answer.status == 201
    assert "/" not in answer.result["file_name"]
    assert len(answer.result["file_name"]) <= 255


def test_longer_file_is_413(service, account):
    answer = add(service, bytes(contract.MAX_RECORDING_BYTES + 1))
    assert (answer.status, list(answer.errors)) == (413, ["file"])


def test_other_content_type_is_415(service, account):
    answer = service.post(PATH, b"name=x", headers={"Content-Type": "text/plain"})
    assert answer.status == 415


def test_full_account_is_409_and_keeps_no_file(service, account, monkeypatch):
    monkeypatch.setattr(contract, "MAX_SOUNDS", 1)
    create_sound(account)
    answer = add(service)
    assert (answer.status, answer.errors["non_field_errors"][0]["code"]) == (409, "limit")
    assert count_files() == 2


def test_repeated_key_makes_one_sound(service, account):
    form = make_form(make_wav(), "file", name="Hello")
    form["headers"] |= {"Idempotency-Key": "k"}
    first, second = service.post(PATH, **form), service.post(PATH, **form)
    assert (first.status, second.status) == (201, 201)
    assert second.headers["idempotency-replayed"] == "true"
    assert first.result == second.result
    assert Sound.objects.count() == SoundAudio.objects.count() == 1


def test_failing_store_is_503(service, account, monkeypatch):
    def fail(*args, **kwargs):
        raise OSError("disk full")

    monkeypatch.setattr(type(recordings_store()), "_save", fail)
    answer = add(service)
    assert (answer.status, "retry-after" in answer.headers) == (503, True)
    assert not Sound.objects.exists()


def test_wrong_credential_is_refused_before_the_body_is_read(wire):
    form = make_form(make_wav(), "file")
    form["headers"] |= {"X-Auth-Password": "wrong"}
    assert wire.post(PATH, **form).status == 401
    assert not Sound.objects.exists()
