"""The page of the mail about a message, and failures at the recipients."""

import re

import pytest
from django.contrib.admin.models import LogEntry

from mailboxes.models import ApiCredential, MailDelivery
from tests.console.conftest import NAME, SAID, sign_in_member_of
from tests.console.pages import get_text
from tests.messages import leave_message

pytestmark = pytest.mark.django_db
ANN = "ann@acme.example"


@pytest.fixture
def sent(message, settings):
    """Return a message whose mails are in these states."""
    settings.SENDS_MAIL = True
    for email, state in {ANN: "sent", "bob@acme.example": "failed"}.items():
        MailDelivery.objects.create(
            message=message,
            mailbox=message.mailbox,
            email=email,
            state=state,
            attempts=2,
            answer="550 No such user" if state == "failed" else "",
        )
    return message


def get_address(message):
    return f"/mailboxes/{message.mailbox_id}/messages/{message.pk}/mail/"


def test_preview_shows_the_mail_and_who_has_it(manager, sent, settings):
    page = manager.get(get_address(sent))
    text = get_text(page)
    assert f"From {settings.MAIL_FROM}" in text.replace("&lt;", "<").replace("&gt;", ">")
    assert f"Subject Message from {NAME} in Sales" in text
    assert "the recording, as MP3" in text
    assert SAID in text
    assert re.search(r"ann@acme\.example Sent 2 \S+ \S+ UTC", text)
    assert re.search(r"bob@acme\.example Failed Try again 2 \S+ \S+ UTC 550 No such user", text)


def test_html_of_the_mail_is_in_a_frame_without_scripts(manager, sent):
    sent.caller_id_name = '"><script>alert(1)</script>'
    sent.save()
    page = manager.get(get_address(sent)).content.decode()
    [frame] = re.findall("<iframe.*?</iframe>", page, re.DOTALL)
    assert re.search(r"\ssandbox(\s|>|=\"\")", frame)
    assert "allow-" not in frame
    assert "<script>alert" not in page
    assert "&amp;lt;script&amp;gt;" in frame  # escaped in the mail, and again in the attribute


def test_reading_the_mail_is_recorded(manager, sent):
    manager.get(get_address(sent))
    assert LogEntry.objects.get().change_message.startswith("Message read")


@pytest.mark.parametrize(("group", "status"), [("Viewer", 403), ("Support", 403), ("Manager", 200)])
def test_only_those_who_may_listen_see_the_mail(sent, group, status):
    browser = sign_in_member_of(group)
    assert browser.get(get_address(sent)).status_code == status
    page = browser.get(get_address(sent).removesuffix("mail/"))
    assert "Mail 1 of 2 sent" in get_text(page)
    assert (get_address(sent) in page.content.decode()) == (status == 200)


@pytest.mark.parametrize(
    ("template", "shown"),
    [
        (b"{% nonsense %}", "TemplateSyntaxError: "),
        (b"{% include 'none.txt' %}", "TemplateDoesNotExist: none.txt"),
        (b"{% url 'none' %}", "NoReverseMatch: Reverse for"),
        (b"\xfc", "UnicodeDecodeError: "),
        (b"{% include 'mail/message.txt' %}", "RecursionError"),
    ],
)
def test_wrong_template_is_shown_instead_of_the_mail(
    manager, sent, settings, tmp_path, template, shown
):
    (tmp_path / "mail").mkdir()
    (tmp_path / "mail/message.txt").write_bytes(template)
    [engine] = settings.TEMPLATES
    settings.TEMPLATES = [engine | {"DIRS": [tmp_path, *engine["DIRS"]]}]
    page = manager.get(get_address(sent))
    assert page.status_code == 200
    assert f"A template of mails is wrong: {shown}" in get_text(page)


def test_message_without_mails_has_a_preview(manager, message):
    text = get_text(manager.get(get_address(message)))
    assert "This service sends no mail: EMAIL_URL is not set." in text
    assert "No mail about this message" in text
    assert SAID in text


# --- The recipients of a mailbox -----------------------------------------------------------


def get_page(browser, mailbox) -> str:
    return get_text(browser.get(f"/mailboxes/{mailbox.pk}/"))


def test_recipient_whose_mail_failed_is_marked(viewer, sent):
    MailDelivery.objects.filter(email=ANN).update(state="failed", answer="550 Unknown")
    assert "The last mail was not delivered: 550 Unknown" in get_page(viewer, sent.mailbox)
    later = leave_message(sent.mailbox)
    MailDelivery.objects.filter(message=later).update(state="sent")
    assert "not delivered" not in get_page(viewer, sent.mailbox)


def test_hostile_answer_is_escaped(viewer, sent):
    MailDelivery.objects.filter(email=ANN).update(state="failed", answer="550 <script>alert(1)")
    page = viewer.get(f"/mailboxes/{sent.mailbox_id}/").content.decode()
    assert "550 &lt;script&gt;alert(1)" in page


def test_mailbox_says_why_no_mail_is_sent(viewer, sales, account, settings):
    assert "This service sends no mail: EMAIL_URL is not set." in get_page(viewer, sales)
    settings.SENDS_MAIL = True
    assert "sends no mail" not in get_page(viewer, sales)
    ApiCredential.objects.issue(account, "pbx-1", is_engine=True, sends_mail=True)
    assert "The telephone engine “pbx-1” sends the mails" in get_page(viewer, sales)
