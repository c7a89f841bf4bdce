"""The child process that reads a text with eSpeak NG.

Its library comes with the package espeakng-loader. `python -m mailboxes.audio.espeak VOICE` reads a
text in UTF-8 from standard input, and writes a WAV file to standard output. `--voices` writes the
names of its languages, as JSON.
"""

import ctypes
import json
import sys

import espeakng_loader

from mailboxes.audio.recordings import Recording

# From eSpeak NG's speak_lib.h.
RETRIEVAL = 1  # the speech is handed to a function
UTF8 = 1
DONT_EXIT = 0x8000
OK = 0
SPEED = 1  # a parameter, in words a minute
WORDS_A_MINUTE = 150

UNKNOWN_VOICE = 3  # the status of the process

Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


class Voice(ctypes.Structure):
    """`espeak_VOICE`. It can be chosen by the last part of `identifier`, such as `gmw/de`."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("languages", ctypes.c_char_p),
        ("identifier", ctypes.c_char_p),
        ("gender_age_and_variant", ctypes.c_ubyte * 4),
        ("score", ctypes.c_int),
        ("spare", ctypes.c_void_p),
    )


def load_library() -> tuple[ctypes.CDLL, int]:
    """Return the library, and the rate of its speech. Raises OSError."""
    library = ctypes.CDLL(espeakng_loader.get_library_path())
    library.espeak_ListVoices.restype = ctypes.POINTER(ctypes.POINTER(Voice))
    library.espeak_Synth.argtypes = [
        *(ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint, ctypes.c_int, ctypes.c_uint),
        *(ctypes.c_uint, ctypes.c_void_p, ctypes.c_void_p),
    ]
    folder = espeakng_loader.get_data_path().encode()
    rate = library.espeak_Initialize(RETRIEVAL, 0, folder, DONT_EXIT)
    if rate <= 0:
        raise OSError("eSpeak NG does not find its voices.")
    return library, rate


def list_languages() -> dict[str, str]:
    """Return the name of each language by its code, such as `de`."""
    library, _rate = load_library()
    names = {}
    for voice in library.espeak_ListVoices(None):
        if not voice:  # the end
            break
        code = voice.contents.identifier.decode().rpartition("/")[2]
        names[code] = voice.contents.name.decode().strip()
    return names


def speak(text: bytes, voice: str) -> bytes:
    """Read the text, and return a WAV file. Raises LookupError for an unknown voice."""
    samples = bytearray()

    @Callback
    def collect(wav, count, _events):
        if wav and count:
            samples.extend(ctypes.string_at(wav, count * 2))
        return 0

    library, rate = load_library()
    if library.espeak_SetVoiceByName(voice.encode()) != OK:
        raise LookupError
    library.espeak_SetParameter(SPEED, WORDS_A_MINUTE, 0)
    library.espeak_SetSynthCallback(collect)
    library.espeak_Synth(text, len(text) + 1, 0, 0, 0, UTF8, None, None)
    library.espeak_Synchronize()
    return Recording(rate, bytes(samples)).to_wav()


def main(argument: str) -> None:
    if argument == "--voices":
        json.dump(list_languages(), sys.stdout)
        return
    try:
        sys.stdout.buffer.write(speak(sys.stdin.buffer.read(), argument))
    except LookupError:
        sys.exit(UNKNOWN_VOICE)


if __name__ == "__main__":
    main(sys.argv[1])
