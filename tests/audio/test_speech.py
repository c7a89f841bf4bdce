"""Speech that is read by the machine."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from mailboxes.audio.speech import UnknownVoiceError, speak

TEXT = "Good morning. Please leave a message."


@pytest.mark.parametrize(("voice", "text"), [("en", TEXT), ("de+f3", "Grüß Gott, schöne Stadt.")])
def test_text_is_read_audibly(voice, text):
    recording = speak(text, voice)
    assert 1 < recording.seconds < 6
    assert recording.rate == 16_000
    assert max(recording.compute_peaks()) > 60


def test_voices_and_speeds_differ():
    spoken = [speak(TEXT, "en"), speak(TEXT, "de"), speak(TEXT, "en+f3"), speak(TEXT, "en", 250)]
    assert len(set(spoken)) == len(spoken)
    assert spoken[3].seconds < spoken[0].seconds


def test_texts_read_at_the_same_time_are_not_mixed():
    texts = ["This is a message. " * number for number in range(1, 7)]
    alone = [speak(text, "en").seconds for text in texts]
    with ThreadPoolExecutor(len(texts)) as pool:
        together = pool.map(lambda text: speak(text, "en").seconds, texts)
    assert list(together) == pytest.approx(alone, abs=0.1)


@pytest.mark.parametrize("text", ["", " ", "…"])
def test_text_without_words_is_silent(text):
    assert speak(text, "en").seconds < 1


def test_unknown_voice_is_refused():
    with pytest.raises(UnknownVoiceError):
        speak(TEXT, "xx")
