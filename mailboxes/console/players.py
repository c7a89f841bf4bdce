"""The player of a recording: see templates/console/player.html and static/js/player.js."""

from dataclasses import dataclass

from django.urls import reverse

from mailboxes.models import Message, Sound

HEIGHT = 100  # of a waveform, whose width is two for each of its bars
LEAST_BAR = 2
LEAST_LOUDNESS = 32  # of 255: what is quieter is drawn small, so that silence looks like it


@dataclass(frozen=True)
class Player:
    """A recording to play. `key` makes ids on the page unique."""

    key: str
    source: str
    length: str
    seconds: int
    peaks: bytes

    @property
    def view_box(self) -> str:
        return f"0 0 {2 * len(self.peaks)} {HEIGHT}"

    @property
    def waveform(self) -> str:
        """Return the path of an SVG image: a vertical line for each peak, the loudest the highest."""
        loudest = max(*self.peaks, LEAST_LOUDNESS)
        heights = (max(peak * HEIGHT // loudest, LEAST_BAR) for peak in self.peaks)
        return "".join(
            f"M{2 * number + 1} {(HEIGHT - height) // 2}v{height}"
            for number, height in enumerate(heights)
        )


def create_player(message: Message) -> Player:
    source = reverse("console:message-recording", args=[message.mailbox_id, message.pk])
    return Player(str(message.pk), source, message.length, message.duration, bytes(message.peaks))


def create_sound_player(sound: Sound) -> Player:
    source = reverse("console:sound-audio", args=[sound.account, sound.pk])
    audio = sound.audio
    return Player(str(sound.pk), source, audio.length, audio.duration, bytes(audio.peaks))
