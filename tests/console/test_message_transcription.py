"""The transcription on the page of a message: its sentences, its states, and another try."""

import pytest

from mailboxes.models import Message
from mailboxes.models.transcriptions import Segment
from tests.console.conftest import sign_in_member_of, sign_in_with
from tests.console.pages import get_source, get_text
from tests.messages import leave_message

SEGMENTS = [Segment(0.0, 1.25, "Hello."), Segment(61.5, 63.0, "<b>Call</b> me & Bob.")]
WHY = "The service has no transcriber"

pytestmark = pytest.mark.django_db


@pytest.fixture
def transcriber(settings):
    settings.TRANSCRIBER = "whisper"


def leave(sales, status, segments=(), **values) -> Message:
    """Leave a message whose transcription has this status."""
    message = leave_message(sales, transcription_status="pending", **values)
    Message.finish_transcription(message.pk, status, segments)
    return Message.objects.get(pk=message.pk)


def get_address(message, part=""):
    return f"/mailboxes/{message.mailbox_id}/messages/{message.pk}/{part}"


def find_status(message) -> str:
    return Message.objects.get(pk=message.pk).transcription_status


# --- What is said ---------------------------------------------------------------


def test_each_sentence_leads_to_its_time_in_the_recording(manager, sales):
    message = leave(sales, "done", SEGMENTS)
    source = get_source(manager, get_address(message))
    recording = get_address(message, "recording/")
    assert f'href="{recording}#t=0.0"' in source
    assert f'href="{recording}#t=61.5"' in source
    assert 'data-seek="61.5">&lt;b&gt;Call&lt;/b&gt; me &amp; Bob.</a>' in source


def test_transcription_without_times_is_shown_without_links(manager, sales):
    message = leave(sales, "done", [Segment(None, None, "Hello. Call me.")])
    source = get_source(manager, get_address(message))
    assert "<p>Hello. Call me.</p>" in source
    assert "data-seek" not in source


def test_sentences_are_shown_only_to_those_who_may_listen(support, sales):
    source = get_source(support, get_address(leave(sales, "done", SEGMENTS)))
    assert "Hello." not in source
    assert "data-seek" not in source


def test_list_shows_the_beginning_or_the_state_in_words(manager, sales):
    leave(sales, "done", SEGMENTS)
    for status in ("no_speech", "failed", "pending"):
        leave(sales, status)
    page = get_text(manager.get("/messages/"))
    for text in ("Hello. <b>Call</b> me & Bob.", "No speech", "Failed", "Pending"):
        assert text in page


# --- States ---------------------------------------------------------------------


def test_page_says_that_a_transcription_is_pending(manager, sales, transcriber):
    message = leave_message(sales)
    assert "The text appears here." in get_source(manager, get_address(message))


def test_deleted_message_waits_for_its_restore(manager, sales, transcriber):
    message = leave_message(sales)
    message.soft_delete()
    source = get_source(manager, get_address(message))
    assert "The message will be transcribed if it is restored." in source


def test_pages_say_that_the_service_has_no_transcriber(manager, support, sales):
    message = leave_message(sales)
    assert WHY in get_text(manager.get(get_address(message)))
    viewer = sign_in_member_of("Viewer")
    for browser in (manager, support, viewer):
        assert "Not done yet: the service has no transcriber." in get_text(
            browser.get(f"/mailboxes/{sales.pk}/")
        )


def test_pages_say_nothing_of_a_transcriber_if_there_is_one_or_none_is_wanted(
    manager, sales, settings
):
    sales.transcribe = False
    sales.save()
    message = leave_message(sales)
    assert WHY not in get_text(manager.get(get_address(message)))
    settings.TRANSCRIBER = "whisper"
    for address in (get_address(message), f"/mailboxes/{sales.pk}/"):
        assert "no transcriber" not in get_text(manager.get(address))


# --- Another try ----------------------------------------------------------------


def test_failed_transcription_is_tried_again(manager, sales, transcriber):
    message = leave(sales, "failed")
    assert "Try again" in get_text(manager.get(get_address(message)))
    response = manager.post(get_address(message, "transcribe/"), follow=True)
    assert "The message is being transcribed." in get_text(response)
    assert find_status(message) == "pending"


@pytest.mark.parametrize("status", ["done", "no_speech", "off"])
def test_only_a_failed_transcription_is_tried_again(manager, sales, transcriber, status):
    message = leave(sales, status)
    assert "Try again" not in get_text(manager.get(get_address(message)))
    manager.post(get_address(message, "transcribe/"))
    assert find_status(message) == status


def test_no_try_is_offered_without_a_transcriber(manager, sales):
    message = leave(sales, "failed")
    assert "Try again" not in get_text(manager.get(get_address(message)))
    response = manager.post(get_address(message, "transcribe/"), follow=True)
    assert WHY in get_text(response)
    assert find_status(message) == "failed"


def test_deleted_message_is_not_tried_again(manager, sales, transcriber):
    message = leave(sales, "failed")
    message.soft_delete()
    assert "Try again" not in get_text(manager.get(get_address(message)))


def test_message_of_a_deleted_mailbox_is_not_tried_again(manager, sales, transcriber):
    message = leave(sales, "failed")
    sales.soft_delete()
    assert "Try again" not in get_text(manager.get(get_address(message)))
    response = manager.post(get_address(message, "transcribe/"), follow=True)
    assert "This mailbox was deleted." in get_text(response)
    assert find_status(message) == "failed"


def test_another_try_needs_the_permission_to_listen(sales, transcriber):
    browsers = [sign_in_with(), *map(sign_in_member_of, ("Viewer", "Support", "Manager"))]
    for browser, status in zip(browsers, (403, 403, 403, 302), strict=True):
        message = leave(sales, "failed")
        response = browser.post(get_address(message, "transcribe/"))
        assert response.status_code == status
        assert find_status(message) == ("pending" if status == 302 else "failed")
        assert browser.get(get_address(message, "transcribe/")).status_code == 405
