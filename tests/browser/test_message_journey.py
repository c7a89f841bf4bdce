"""A message's way to people: on the page, transcribed, mailed and sent to a webhook."""

import pytest
from playwright.sync_api import expect

from mailboxes.models import Account, Mailbox
from tests.browser.conftest import assert_accessible, sign_in
from tests.conftest import database_url
from tests.databases import headers_for
from tests.delivery.running import RunningWorker
from tests.delivery.smtp import Mailman
from tests.delivery.speech_server import SAID, SpeechServer
from tests.delivery.webhooks import create_webhook
from tests.recordings import make_wav
from tests.server import until

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]

SOON = 20_000  # milliseconds


@pytest.fixture
def mailbox(settings):
    settings.TRANSCRIBER = "http"  # of the server, which stores the task
    settings.SENDS_MAIL = True
    mailbox = Mailbox.objects.create(
        account=Account.objects.create(name="acme"), name="Sales", transcribe=True
    )
    mailbox.add_recipient("ann@acme.example")
    return mailbox


@pytest.fixture
def mailman():
    with Mailman() as running:
        yield running


@pytest.fixture
def speech():
    with SpeechServer() as running:
        yield running


def test_message_reaches_page_mail_and_webhook(
    page, live_server, mailbox, mailman, speech, receiver
):
    webhook = create_webhook(mailbox.account, receiver.url, events=["message.received"])
    environment = {
        "TRANSCRIBER": "http",
        "TRANSCRIBER_URL": speech.url,
        "EMAIL_URL": mailman.url,
        "MAIL_FROM": "voicemail@acme.example",
        "WEBHOOK_NETWORKS": "127.0.0.0/8",
        "HTTPS": "off",
    }
    sign_in(page, "mona", "Manager")
    page.goto(f"/mailboxes/{mailbox.pk}/")
    page.evaluate("window.isMarked = true")  # a reload would remove it
    with RunningWorker(database_url(), **environment):
        recording = {"name": "m.wav", "mimeType": "audio/wav", "buffer": make_wav()}
        answer = page.request.post(
            f"{live_server.url}/voip/mailbox/{mailbox.pk}/messages",
            headers=headers_for(mailbox.account),
            multipart={"recording": recording, "caller_id_name": "Bob"},
        )
        assert answer.status == 201
        row = page.locator("tr[data-row]")
        expect(row).to_contain_text("Bob", timeout=SOON)
        expect(row).to_contain_text(SAID, timeout=SOON)
        assert page.evaluate("window.isMarked")

        page.get_by_role("link", name="Bob").click()
        expect(page.locator("#main")).to_contain_text(SAID)
        assert_accessible(page)
        until(lambda: mailman.mails)
        page.get_by_role("link", name="Preview").click()
        expect(page.frame_locator("iframe").get_by_text(SAID)).to_be_visible()

        until(lambda: webhook.deliveries.filter(state="delivered").exists())
        page.goto(f"/accounts/acme/webhooks/{webhook.pk}/")
        page.get_by_role("link", name="message.received").click()
        sent = len(receiver.requests)
        page.get_by_role("button", name="Send again").click()
        expect(page.get_by_text("The event is being sent.")).to_be_visible()
        until(lambda: len(receiver.requests) > sent)
