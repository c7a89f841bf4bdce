"""Recordings of messages are heard and downloaded, and each first access is recorded."""

import logging
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.db import connection

from mailboxes.encryption import KeyRing
from mailboxes.history import HEARD, READ, record_access
from mailboxes.models import Mailbox, Message
from mailboxes.monitoring.logs import JSONFormatter, TextFormatter
from tests.console.conftest import NAME, NUMBER, SAID, list_messages, sign_in
from tests.console.pages import get_text
from tests.console.test_message import ACTIONS, get_address, press
from tests.messages import leave_message
from tests.recordings import make_form, make_wav

WAV = make_wav()


@pytest.fixture
def recording(message):
    return get_address(message, "recording/")


def read_accesses() -> list:
    """Return the entries of the admin's log, oldest first: user name and kind."""
    entries = LogEntry.objects.order_by("pk").select_related("user")
    return [(entry.user.username, entry.change_message.partition(":")[0]) for entry in entries]


# --- The answer -----------------------------------------------------------------


def test_recording_is_served_as_a_whole_and_in_parts(manager, recording):
    answer = manager.get(recording)
    assert (answer.status_code, answer.content) == (200, WAV)
    assert answer.headers["Content-Type"] == "audio/wav"
    assert answer.headers["Accept-Ranges"] == "bytes"
    part = manager.get(recording, headers={"Range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, WAV[100:200])
    assert part.headers["Content-Range"] == f"bytes 100-199/{len(WAV)}"
    assert part.headers["ETag"] == answer.headers["ETag"]


def test_no_cache_keeps_the_recording(manager, recording):
    for headers in ({}, {"Range": "bytes=0-9"}, {"Range": f"bytes={len(WAV)}-"}):
        control = manager.get(recording, headers=headers).headers["Cache-Control"]
        assert {"private", "no-store"} <= set(control.split(", "))


def test_range_after_the_end_is_refused(manager, recording):
    answer = manager.get(recording, headers={"Range": f"bytes={len(WAV)}-"})
    assert (answer.status_code, answer.headers["Content-Range"]) == (416, f"bytes */{len(WAV)}")
    assert read_accesses() == []


def test_recording_that_the_browser_has_is_not_sent_again(manager, recording):
    etag = manager.get(recording).headers["ETag"]
    answer = manager.get(recording, headers={"If-None-Match": etag})
    assert (answer.status_code, answer.content) == (304, b"")


NAMES = {
    ("Sales", NAME, NUMBER): "sales_ann-smith_2024-05-17-093015.wav",
    ("Sales", "", NUMBER): "sales_44-20-7946-0123_2024-05-17-093015.wav",
    ("Büro/../Süd", 'a"; b\\c', ""): "burosud_a-bc_2024-05-17-093015.wav",
    ("Продажи", "", ""): "2024-05-17-093015.wav",
    ("W" * 100, "1" * 64, ""): f"{'w' * 40}_{'1' * 40}_2024-05-17-093015.wav",
}


@pytest.mark.parametrize(("names", "file"), NAMES.items())
def test_download_is_named_in_ascii_for_mailbox_caller_and_time(manager, sales, names, file):
    sales.name, name, number = names
    sales.save()
    moment = datetime(2024, 5, 17, 9, 30, 15, tzinfo=UTC)
    row = leave_message(sales, name, seconds=2, caller_id_number=number, received_at=moment)
    answer = manager.get(get_address(row, "recording/?download"))
    assert answer.headers["Content-Disposition"] == f'attachment; filename="{file}"'
    assert answer.content == WAV


def test_recording_that_cannot_be_read_is_explained(manager, recording, settings, caplog):
    def assert_unreadable():
        assert manager.get(recording).status_code == 503
        page = manager.get(f"{recording}?download", follow=True)
        assert list_messages(page) == ["The recording cannot be read: try again later."]

    keys, settings.PASS_CODE_KEYS = settings.PASS_CODE_KEYS, KeyRing([bytes(32)])
    assert_unreadable()
    settings.PASS_CODE_KEYS = keys
    row = Message.objects.get()
    with row.recording.storage.open(row.recording.name, "r+b") as file:
        file.truncate(100)
    assert_unreadable()
    row.recording.delete(save=False)
    assert_unreadable()
    assert caplog.text.count(f"The recording of message {row.pk} cannot be read.") == 6
    assert read_accesses() == [("manager", "Message read")]  # on the page of the message


def test_refused_recording_has_no_audio(support, recording):
    for headers in ({}, {"Range": "bytes=0-9"}):
        answer = support.get(recording, headers=headers)
        assert answer.status_code == 403
        assert b"RIFF" not in answer.content
    assert read_accesses() == []


# --- Records --------------------------------------------------------------------


def test_each_first_access_of_a_user_is_recorded(manager, message, recording):
    for _time in range(2):
        for headers in ({"Range": "bytes=0-"}, {"Range": "bytes=100-"}, {}):
            manager.get(recording, headers=headers)
        manager.get(f"{recording}?download")
        manager.get(get_address(message))
    expected = ["Message heard", "Message downloaded", "Message read"]
    assert read_accesses() == [("manager", kind) for kind in expected]
    sign_in(User.objects.create_superuser("rosa")).get(recording)
    assert read_accesses()[3:] == [("rosa", "Message heard")]


def test_page_without_transcription_is_not_recorded(manager, support, sales, message):
    manager.get(get_address(leave_message(sales)))
    support.get(get_address(message))
    press(support, message, "hear")
    assert read_accesses() == []


@pytest.mark.parametrize("page", ["/messages/", "/mailboxes/{}/"])
def test_first_lines_in_a_table_are_recorded(manager, support, sales, message, page):
    leave_message(sales)
    support.get(page.format(sales.pk))
    assert read_accesses() == []
    for _time in range(2):
        assert SAID in manager.get(page.format(sales.pk)).content.decode()
    assert read_accesses() == [("manager", "Message read")]


def test_request_for_the_head_is_not_recorded(manager, recording):
    manager.head(recording)
    assert read_accesses() == []


def test_many_messages_are_recorded_at_once(manager, sales, django_assert_max_num_queries):
    rows = [leave_message(sales, text=SAID) for _ in range(3)]
    record_access(READ, rows[:1], manager.user)
    record_access(READ, rows, manager.user)
    assert read_accesses() == [("manager", "Message read")] * 3
    with django_assert_max_num_queries(1):
        record_access(READ, rows, manager.user)


@pytest.mark.django_db(transaction=True)
def test_two_parts_at_once_are_recorded_once(account):
    mailbox = Mailbox.objects.create(account=account, name="Sales")
    user, rows = User.objects.create_superuser("rosa"), [leave_message(mailbox)]
    ready = Barrier(4)

    def hear(_number):
        connection.ensure_connection()
        ready.wait()
        record_access(HEARD, rows, user)
        connection.close()

    with ThreadPoolExecutor(ready.parties) as pool:
        list(pool.map(hear, range(ready.parties)))
    assert read_accesses() == [("rosa", "Message heard")]


def test_history_of_the_mailbox_shows_each_access(manager, support, message, recording):
    manager.get(recording)
    manager.get(f"{recording}?download")
    manager.get(get_address(message))
    history = support.get(f"/mailboxes/{message.mailbox_id}/history/")
    page = get_text(history)
    for text in ("heard", "downloaded", "read"):
        assert f"{text} the message of 2024-05-17 09:30 UTC" in page
    for secret in (NAME, NUMBER, SAID):
        assert secret not in page
    assert "Who saw or exported the pass code" not in page


def test_history_shows_accesses_in_pages(manager, sales):
    record_access(READ, [leave_message(sales) for _ in range(21)], manager.user)
    page = manager.get(f"/mailboxes/{sales.pk}/history/")
    assert f'href="/mailboxes/{sales.pk}/history/?messages=2"' in page.content.decode()
    page = manager.get(f"/mailboxes/{sales.pk}/history/?messages=2")
    assert len(page.context["access_rows"]) == 1


def test_logs_name_no_caller_and_no_word(manager, support, service, message, caplog):
    with caplog.at_level(logging.DEBUG):
        form = make_form(WAV, caller_id_name=NAME, caller_id_number=NUMBER)
        assert service.post(f"/voip/mailbox/{message.mailbox_id}/messages", **form).status == 201
        for browser in (manager, support):
            for part in ("", "recording/", "recording/?download"):
                browser.get(get_address(message, part))
            for action in ACTIONS:
                press(browser, message, action)
        message.recording.delete(save=False)
        manager.get(get_address(message, "recording/"))
        logging.getLogger("mailboxes").info("%s", message)
    lines = [
        formatter().format(record)
        for formatter in (TextFormatter, JSONFormatter)
        for record in caplog.records
    ]
    log = "\n".join(lines)
    assert str(message.pk) in log
    entries = LogEntry.objects.values_list("object_repr", "change_message")
    text = log + str(list(entries))
    assert "2024-05-17T09:30:15+00:00" in text
    for secret in (NAME, NUMBER, "7946", SAID, "boiler", "smith"):
        assert secret not in text
