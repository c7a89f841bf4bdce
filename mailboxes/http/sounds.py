"""Answers with the audio of a sound, and its temporary addresses."""

from http import HTTPStatus
from uuid import UUID

from django.core.signing import BadSignature, TimestampSigner
from django.http import Http404, HttpResponse
from django.urls import reverse
from django.utils.cache import get_conditional_response
from django.views.decorators.http import require_safe

from mailboxes.http.ranges import UnsatisfiableRangeError
from mailboxes.http.recordings import UnreadableRecordingError, answer_audio
from mailboxes.models import SoundAudio

signer = TimestampSigner(salt="mailboxes.http.sounds")
CONTENT_SECONDS = 600  # for which a temporary address opens


def answer_sound(request, audio: SoundAudio, telephone: bool = False) -> HttpResponse:
    """Return the original, or the form for telephones, or the wanted part of it; or 304.

    Errors have no body.
    """
    # Neither form ever changes.
    etag = f'"{audio.pk}-telephone"' if telephone else f'"{audio.pk}"'
    read = audio.read_telephone if telephone else audio.read_original
    try:
        return get_conditional_response(request, etag) or answer_audio(request, read, etag, audio)
    except UnreadableRecordingError:
        return HttpResponse(status=HTTPStatus.SERVICE_UNAVAILABLE)
    except UnsatisfiableRangeError as error:
        return HttpResponse(
            status=HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, headers=error.headers
        )


def make_content_url(request, audio: UUID) -> str:
    """Return an address of the audio that opens for CONTENT_SECONDS, without a credential."""
    signed = signer.sign(str(audio))
    return request.build_absolute_uri(reverse("sound-content", args=[signed]))


@require_safe
def content(request, signed):
    """Send the audio at an address of `make_content_url`. An outdated or wrong one is 404."""
    try:
        uuid = signer.unsign(signed, max_age=CONTENT_SECONDS)
    except BadSignature:
        raise Http404 from None
    audio = SoundAudio.objects.filter(pk=uuid).first()
    if audio is None:
        raise Http404
    return answer_sound(request, audio)
