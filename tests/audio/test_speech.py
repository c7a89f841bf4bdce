"""Texts that are read by a voice: of eSpeak NG, or of the command TTS_COMMAND."""

import shlex
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from mailboxes.audio import speech
from mailboxes.audio.decoder import decoder
from mailboxes.audio.speech import SpeechError, list_voices, speak

TEXT = "Good morning. Please leave a message."

# Reads the text as its upper case, after the voice.
PROGRAM = "import sys; print(sys.argv[1], sys.stdin.read().upper(), end='')"


def read(text, voice):
    return decoder.decode(speak(text, voice))


@pytest.fixture
def use_command(settings):
    """Let voices be those of a Python program."""

    def use(program, *arguments):
        settings.TTS_COMMAND = [sys.executable, "-c", program, *arguments]
        settings.TTS_VOICES = ["amy", "bob"]

    return use


@pytest.mark.parametrize(("voice", "text"), [("en", TEXT), ("de+f3", "Grüß Gott, schöne Stadt.")])
def test_text_is_read_audibly(voice, text):
    recording = read(text, voice)
    assert 1 < recording.seconds < 6
    assert max(recording.compute_peaks()) > 60


def test_greeting_has_the_rate_of_the_voice():
    greeting = decoder.decode_greeting(speak(TEXT, "en"))
    assert (greeting.original.rate, greeting.telephone.rate) == (22_050, 8_000)


def test_voices_differ():
    spoken = [speak(TEXT, voice) for voice in ("en", "de", "en+f3")]
    assert len(set(spoken)) == len(spoken)


def test_texts_read_at_the_same_time_are_not_mixed():
    texts = ["This is a message. " * number for number in range(1, 5)]
    alone = [len(speak(text, "en")) for text in texts]
    with ThreadPoolExecutor(len(texts)) as pool:
        together = pool.map(lambda text: len(speak(text, "en")), texts)
    assert list(together) == pytest.approx(alone, rel=0.02)


@pytest.mark.parametrize("text", ["", " ", "…"])
def test_text_without_words_is_silent(text):
    assert len(speak(text, "en")) < 2 * 22_050


def test_voices_are_a_man_and_a_woman_of_each_language():
    voices = list_voices()
    assert voices["de"] == "German, a man"
    assert voices["de+f3"] == "German, a woman"
    assert len(voices) > 200


def test_each_listed_language_can_be_read():
    for voice in ("en", "en-US", "fr", "es", "it", "nl", "cmn", "cs+f3"):
        assert voice in list_voices()
        assert speak("1 2 3", voice)


def test_unknown_voice_is_refused():
    with pytest.raises(SpeechError, match="status 3"):
        speak(TEXT, "xx")


def test_command_reads_the_text_with_its_voice(use_command):
    use_command(PROGRAM, speech.VOICE)
    assert list_voices() == {"amy": "amy", "bob": "bob"}
    assert speak("Grüße; $(id)", "amy").decode() == "amy GRÜSSE; $(ID)"


def test_command_has_no_secret(use_command):
    use_command("import os; print(*sorted(os.environ))")
    assert set(speak("", "amy").decode().split()) <= {"PATH", "LC_CTYPE"}


def test_command_that_fails_is_reported_and_logged(use_command, caplog):
    use_command("import sys; sys.exit('There is no model.')")
    with pytest.raises(SpeechError, match="status 1: There is no model"):
        speak("A private text", "amy")
    assert "There is no model." in caplog.text
    assert "private" not in caplog.text


def test_command_that_takes_too_long_is_ended(use_command, monkeypatch):
    monkeypatch.setattr(speech, "SECONDS", 0.3)
    use_command("import time; time.sleep(60)")
    with pytest.raises(SpeechError, match="more than"):
        speak("", "amy")


def test_missing_program_is_reported(settings):
    settings.TTS_COMMAND = shlex.split("/nowhere/piper {voice}")
    with pytest.raises(SpeechError, match="/nowhere/piper"):
        speak("", "amy")


def test_voices_are_missing_without_package_and_command(monkeypatch):
    monkeypatch.setattr(speech, "PACKAGE", "missing_package")
    assert not speech.is_available()
    assert list_voices() == {}
