"""Spoken messages in telephone quality, and the share of words that is understood."""

import re
from array import array
from difflib import SequenceMatcher
from functools import cache

import av
import numpy

from mailboxes.audio.decoder import decoder
from mailboxes.audio.recordings import Recording
from mailboxes.audio.speech import speak
from tests.audio.encoding import encode

RATE = 8_000

SENTENCES = [
    "Good morning, this is a message for the manager of the shop.",
    "I would like to move my appointment from Tuesday to Thursday morning.",
    "Please ring me back when you have a minute.",
    "The lift on the second floor has stopped again, and I can hear the alarm.",
    "Could somebody have a look at it today?",
    "A grey coat was left in the meeting room yesterday evening.",
    "We will keep it at the front desk until Friday.",
    "Our driver will be at your warehouse between nine and ten tomorrow.",
    "If that is too early for you, please call us on this number.",
    "I found your advertisement and have a question about the price of the house.",
    "My brother said that the garden is very large and close to the river.",
    "The doctor told me to ask you for the results of the test.",
    "You can reach me at home after six in the evening.",
    "The parcel with the new books arrived this afternoon, but the box was open.",
    "Two of the books are missing, so please check what was sent.",
    "The train was late, therefore I will come to the office an hour later.",
    "Please tell the others that they should start the meeting without me.",
    "My daughter has lost her blue jacket in your restaurant last Sunday.",
    "It has her name written inside, and there is a key in the pocket.",
    "The water in our kitchen has been cold since this morning.",
    "A neighbour said that the whole street has the same problem.",
    "We want to order twenty chairs and four tables for a wedding.",
    "The party begins on the last Saturday of the month.",
    "I have sent you a letter with all of the details.",
    "Let me know whether you need anything else from our company.",
    "The contract is ready, and you can sign it whenever you like.",
    "My flight leaves early, so send me a message before lunch.",
    "The bank needs a copy of your passport and a recent photograph.",
    "Your mother asked me to water the flowers while she is away.",
    "Thank you very much for your help, and goodbye.",
]


@cache
def record_call(text: str, voice: str = "en-us") -> Recording:
    """Return a spoken message as it arrives from a telephone: 8 kHz, µ-law."""
    spoken = decoder.decode(speak(text, voice))
    samples = numpy.frombuffer(spoken.samples, "<i2").reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
    frame.sample_rate = spoken.rate
    resampler = av.AudioResampler(format="s16", layout="mono", rate=RATE)
    frames = [*resampler.resample(frame), *resampler.resample(None)]
    narrow = array("h", numpy.concatenate([each.to_ndarray().reshape(-1) for each in frames]))
    return decoder.decode(encode("wav µ-law", RATE, 1, narrow))


def split(text: str) -> list[str]:
    return re.findall(r"[a-z']+", text.lower())


def measure_understood(text: str, transcription: str) -> float:
    """Return the share of the words of the text that are in the transcription, in their order."""
    said, heard = split(text), split(transcription)
    blocks = SequenceMatcher(None, said, heard, autojunk=False).get_matching_blocks()
    return sum(block.size for block in blocks) / len(said)
