"""Speech, read by eSpeak NG. Needs the package espeakng-loader (the extra `voices`)."""

import ctypes
from functools import cache
from importlib.util import find_spec
from threading import Lock

from mailboxes.audio.decoder import decoder
from mailboxes.audio.recordings import Recording

PACKAGE = "espeakng_loader"

# From eSpeak NG's speak_lib.h.
RETRIEVAL = 1  # the speech is handed to a function
UTF8 = 1
DONT_EXIT = 0x8000
OK = 0
SPEED = 1  # a parameter, in words a minute

Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)

lock = Lock()  # the library has one state


class UnknownVoiceError(ValueError):
    """eSpeak NG has no voice of this name."""


def is_installed() -> bool:
    return find_spec(PACKAGE) is not None


@cache
def load_library() -> tuple[ctypes.CDLL, int]:
    """Return the library, and the rate of its speech. Raises ImportError, OSError."""
    import espeakng_loader

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    library.espeak_Synth.argtypes = [
        *(ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int, ctypes.c_uint),
        *(ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p),
    ]
    folder = espeakng_loader.get_data_path().encode()
    rate = library.espeak_Initialize(RETRIEVAL, 0, folder, DONT_EXIT)
    if rate <= 0:
        raise OSError("eSpeak NG does not find its voices.")
    return library, rate


def speak(text: str, voice: str, words_a_minute: int = 150) -> Recording:
    """Read the text with a voice such as `en`, `de`, or a woman's, `de+f3`.

    Raises UnknownVoiceError; ImportError or OSError without the library.
    """
    samples = bytearray()

    @Callback
    def collect(wav, count, _events):
        if wav and count:
            samples.extend(ctypes.string_at(wav, count * 2))
        return 0

    content = text.encode()
    with lock:
        library, rate = load_library()
        if library.espeak_SetVoiceByName(voice.encode()) != OK:
            raise UnknownVoiceError(voice)
        library.espeak_SetParameter(SPEED, words_a_minute, 0)
        library.espeak_SetSynthCallback(collect)
        library.espeak_Synth(content, len(content) + 1, 0, 0, 0, UTF8, None, None)
        library.espeak_Synchronize()
    return decoder.decode(Recording(rate, bytes(samples)).to_wav())
