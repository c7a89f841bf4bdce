"""The headers, texts and recording of a mail, as it arrives."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from mailboxes.audio.decoding import decode
from mailboxes.encryption import KeyRing
from mailboxes.models import MailDelivery
from tests.console.test_translation import _marked_lookups, list_unmarked_words  # noqa: F401
from tests.delivery.running import pass_time, run_tasks
from tests.messages import leave_message

pytestmark = pytest.mark.django_db
ANN = "ann@example.com"
HOSTILE = "<script src=//evil>\"'&{{ 7|add:7 }}"


@pytest.fixture
def receive(mail_server, mailbox):
    """Leave a message, and return Ann's mail."""

    def receive(name="Carla", **values):
        message = leave_message(mailbox, name, **values)
        run_tasks()
        return message, mail_server.read_mail(ANN)

    return receive


@pytest.fixture
def _unmarked(monkeypatch):
    """Leave texts as they are, unlike the fixture of the translations."""
    monkeypatch.undo()


def read_text(received, kind="plain") -> str:
    return received.get_body((kind,)).get_content()


@pytest.mark.usefixtures("_unmarked")
def test_mail_says_who_called_when_and_what(receive, settings):
    settings.MAIL_TIME_ZONE = ZoneInfo("Europe/Berlin")
    at = datetime(2026, 7, 1, 22, 30, tzinfo=UTC)
    values = {"caller_id_number": "+4930123", "received_at": at, "seconds": 65}
    _message, received = receive(text="Call me back.\nBye.", **values)
    assert received["Subject"] == "Message from Carla in Sales"
    assert received["From"] == settings.MAIL_FROM
    for kind in ("plain", "html"):
        text = " ".join(read_text(received, kind).split())
        for part in ("Sales", "Carla", "(+4930123)", "2026-07-02 00:30 CEST", "1:05", "Bye."):
            assert part in text
    [attachment] = received.iter_attachments()
    assert attachment.get_filename() == "message-2026-07-02-003000.mp3"
    assert attachment.get_content_type() == "audio/mpeg"
    _rate, samples = decode(attachment.get_content(), max_seconds=100)
    assert len(samples) / 2 / 16_000 == pytest.approx(65, abs=0.1)


def test_mail_is_marked_as_automatic(receive):
    message, received = receive()
    assert received["Auto-Submitted"] == "auto-generated"
    assert received["X-Auto-Response-Suppress"] == "All"
    assert received["Message-ID"].startswith(f"<{message.pk.hex}.")
    assert received["Message-ID"].endswith("@example.com>")


@pytest.mark.usefixtures("_unmarked")
def test_hostile_caller_is_escaped_in_html_and_plain_in_text(receive):
    _message, received = receive(HOSTILE, text=HOSTILE)
    html = read_text(received, "html")
    assert html.count("&lt;script src=//evil&gt;") == 3  # title, caller and transcription
    assert "<script" not in html
    assert read_text(received).count(HOSTILE) == 2
    assert received["Subject"] == f"Message from {HOSTILE} in Sales"


@pytest.mark.usefixtures("_unmarked")
@pytest.mark.parametrize("separator", ["\r\nBcc: eve@example.com\r\n", "\u2028", "\u202e", "\x85"])
def test_line_breaks_of_a_name_reach_no_header(receive, mail_server, separator):
    """The API refuses most of them; a row may still have them."""
    _message, received = receive(f"Carla{separator}Smith")
    assert received["Bcc"] is None
    assert len(mail_server.mails) == 2
    first_line = read_text(received).splitlines()[2]
    assert first_line.startswith("From: Carla")
    assert first_line.endswith("Smith")
    assert first_line.isprintable()
    assert received["Subject"].isprintable()


@pytest.mark.usefixtures("_unmarked")
@pytest.mark.parametrize("rest", ["", " ü"])
def test_encoded_word_as_a_name_is_not_decoded(receive, mail_server, rest):
    name = f"=?utf-8?q?=0D=0ABcc:_eve@example.com?={rest}"
    _message, received = receive(name)
    assert received["Bcc"] is None
    shown = name.replace("=?", "= ?")
    assert received["Subject"].strip() == f"Message from {shown} in Sales"
    assert name in read_text(received)


@pytest.mark.usefixtures("_unmarked")
def test_names_in_other_scripts_arrive(receive):
    _message, received = receive("Jürgen 李 👩‍🚒" + "x" * 80)
    assert "Jürgen 李" in received["Subject"]
    assert "Jürgen 李" in read_text(received)


@pytest.mark.parametrize("address", ['"a;b"@example.com', "o'neil+tag@example.com"])
def test_odd_address_gets_its_mail(mail_server, mailbox, address):
    mailbox.add_recipient(address)
    leave_message(mailbox)
    run_tasks()
    assert address in mail_server.list_addresses()


def test_recording_is_left_out_if_it_is_switched_off(receive, settings):
    settings.MAIL_ATTACH = False
    _message, received = receive()
    assert list(received.iter_attachments()) == []
    assert "attached" not in read_text(received)


def test_mail_without_a_readable_recording_says_who_called(mail_server, mailbox, settings):
    leave_message(mailbox, "Carla", text="Call me back.")
    settings.PASS_CODE_KEYS = KeyRing([bytes(32)])
    run_tasks()
    received = mail_server.read_mail(ANN)
    assert list(received.iter_attachments()) == []
    assert "Carla" in read_text(received)


def test_mail_waits_for_a_store_that_is_down(mail_server, mailbox, recordings_folder):
    message = leave_message(mailbox)
    path = recordings_folder / message.recording.name
    path.rename(path.with_suffix(".away"))
    run_tasks()
    assert mail_server.mails == []
    path.with_suffix(".away").rename(path)
    pass_time(minutes=5)
    run_tasks()
    assert list(mail_server.read_mail(ANN).iter_attachments())


@pytest.mark.parametrize("status", ["done", "no_speech", "failed"])
def test_mails_are_translated(receive, status):
    values = {"text": "42"} if status == "done" else {"transcription_status": status}
    _message, received = receive("43", **values)
    for text in (received["Subject"], read_text(received), read_text(received, "html")):
        assert "⟦" in text
        assert set(list_unmarked_words(text)) <= {"UTC", "Sales"}


def test_template_of_the_operator_replaces_ours(receive, settings, tmp_path):
    (tmp_path / "mail").mkdir()
    (tmp_path / "mail/subject.txt").write_text("{{ account }}: {{ mailbox }}\n")
    [engine] = settings.TEMPLATES
    folders = [tmp_path, *engine["DIRS"]]
    settings.TEMPLATES = [engine | {"DIRS": folders}]
    _message, received = receive()
    assert received["Subject"] == "acme: Sales"
    assert "Sales" in read_text(received)


@pytest.mark.parametrize(
    ("template", "error"),
    [("{% nonsense %}", "TemplateSyntaxError"), ("{% url caller %}", "NoReverseMatch")],
)
def test_wrong_template_of_the_operator_loses_no_mail(
    mail_server, mailbox, settings, tmp_path, caplog, template, error
):
    (tmp_path / "mail").mkdir()
    (tmp_path / "mail/subject.txt").write_text(template)
    good = settings.TEMPLATES
    settings.TEMPLATES = [good[0] | {"DIRS": [tmp_path, *good[0]["DIRS"]]}]
    leave_message(mailbox, "Carla")
    run_tasks()
    assert mail_server.mails == []
    answer = f"A template of mails is wrong: {error}."
    assert set(MailDelivery.objects.values_list("answer", flat=True)) == {answer}
    assert answer in caplog.text
    assert "Carla" not in caplog.text
    settings.TEMPLATES = good
    pass_time(minutes=5)
    run_tasks()
    assert len(mail_server.mails) == 2
