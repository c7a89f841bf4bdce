"""The preview of a mail in a real browser."""

import pytest
from playwright.sync_api import expect

from mailboxes.models import Account, Mailbox, MailDelivery
from tests.browser.conftest import assert_accessible, sign_in
from tests.messages import leave_message

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]


@pytest.fixture
def message(db):
    mailbox = Mailbox.objects.create(account=Account.objects.create(name="acme"), name="Sales")
    name = '<img src="/static/none.png" onerror="document.title = 1"> Ann'
    message = leave_message(mailbox, name, text="Call me back.\n\nBye.")
    for state in MailDelivery.State:
        MailDelivery.objects.create(
            message=message,
            mailbox=mailbox,
            email=f"{state}.of.a.long.name@example.com",
            state=state,
            answer="550 5.1.1 <ann@example.com>: Recipient address rejected: User unknown",
        )
    return message


def test_mail_is_previewed_in_a_frame_that_runs_nothing(page, message):
    sign_in(page, "manager", "Manager")
    page.goto(f"/mailboxes/{message.mailbox_id}/messages/{message.pk}/")
    page.get_by_role("link", name="Preview").click()
    frame = page.frame_locator("iframe")
    expect(frame.get_by_text("Call me back.")).to_be_visible()
    expect(frame.locator("td").first).to_contain_text("<img src=")
    assert frame.locator("img").count() == 0
    expect(page.get_by_title("The HTML of the mail")).to_be_visible()
    assert page.console_messages == []
    # axe would write to the frame, which has no origin.
    page.locator("iframe").evaluate("frame => frame.remove()")
    assert_accessible(page)


def test_script_of_a_template_does_not_run(page, message, settings, tmp_path):
    (tmp_path / "mail").mkdir()
    script = "<script>parent.document.title = 'changed'</script><p>Mine</p>"
    (tmp_path / "mail/message.html").write_text(script)
    [engine] = settings.TEMPLATES
    settings.TEMPLATES = [engine | {"DIRS": [tmp_path, *engine["DIRS"]]}]
    sign_in(page, "manager", "Manager")
    page.goto(f"/mailboxes/{message.mailbox_id}/messages/{message.pk}/mail/")
    expect(page.frame_locator("iframe").get_by_text("Mine")).to_be_visible()
    assert page.title().startswith("Mail:")
