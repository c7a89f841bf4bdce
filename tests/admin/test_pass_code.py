"""Show a pass code in the admin."""

from uuid import uuid4

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from mailboxes.encryption import KeyRing
from mailboxes.models import Mailbox
from tests.admin.browser import get_address, read_log
from tests.service import shows


def test_pass_code_is_shown_on_request(staff, mailbox):
    page = staff.press("mailbox_pass_code", mailbox.pk)
    assert (page.status_code, page.context["code"]) == (200, "0007")
    assert '<pre class="shown-once">0007</pre>' in page.text
    assert "no-store" in page["Cache-Control"]


def test_showing_a_pass_code_is_logged(staff, mailbox):
    staff.press("mailbox_pass_code", mailbox.pk)
    assert read_log() == ["Pass code shown."]
    assert "Pass code shown." in staff.open("mailbox_history", mailbox.pk).text


def test_showing_a_pass_code_changes_no_mailbox(staff, mailbox):
    staff.press("mailbox_pass_code", mailbox.pk)
    assert Mailbox.objects.get().version == 1
    assert mailbox.history.count() == 1


def test_get_request_shows_no_pass_code(staff, mailbox):
    page = staff.open("mailbox_pass_code", mailbox.pk)
    assert page.url == get_address("mailbox_change", mailbox.pk)
    assert read_log() == []


def test_page_has_a_button_that_shows_the_pass_code_and_not_the_code(staff, mailbox):
    page = staff.open("mailbox_change", mailbox.pk)
    assert not shows(page.text, "0007")
    assert f'action="{get_address("mailbox_pass_code", mailbox.pk)}"' in page.text


def test_missing_pass_code_is_explained(staff, account):
    mailbox = Mailbox.objects.create(account=account, name="Sales")
    assert "has no pass code" in staff.press("mailbox_pass_code", mailbox.pk).text


def test_unknown_mailbox_is_not_found(staff):
    assert staff.press("mailbox_pass_code", uuid4()).status_code == 404


def test_pass_code_with_a_lost_key_is_explained(staff, mailbox, settings):
    settings.PASS_CODE_KEYS = KeyRing([AESGCM.generate_key(256)])
    answer = staff.press("mailbox_pass_code", mailbox.pk)
    assert "cannot be decrypted" in staff.get(answer.url).text
    assert read_log() == []
