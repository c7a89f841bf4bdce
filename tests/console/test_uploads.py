"""Files that staff send: who may, is decided before they are read."""

import pytest
from django.test.client import MULTIPART_CONTENT

from mailboxes.http.bodies import BODY_UNREAD, get_body_limits
from tests.console.conftest import sign_in_with
from tests.sounds import create_sound

MIB = 1024 * 1024


@pytest.fixture
def pages(account):
    """The address of each page that takes a file, and the permission for it."""
    sound = create_sound(account)
    return {
        "/accounts/acme/greetings/new/": "add_sound",
        f"/accounts/acme/greetings/{sound.pk}/replace/": "change_sound",
    }


def ask(browser, page):
    """Return the status of the answer to a form whose body is still to be read."""
    return browser.generic("POST", page, "", MULTIPART_CONTENT, **{BODY_UNREAD: True}).status_code


def test_file_is_read_only_with_the_permission(client, pages):
    others = {"view_sound", "delete_sound"}
    for page, permission in pages.items():
        browser = sign_in_with(permission)
        assert ask(browser, page) == 100
        browser.user.delete()
        browser = sign_in_with(*others, *({*pages.values()} - {permission}))
        assert ask(browser, page) == 403
        browser.user.delete()
        assert ask(client, page) == 302


def test_size_of_a_file_is_limited(pages):
    for page in [*pages, "/import/"]:
        limits = get_body_limits(page)
        assert limits.needs_permission
        assert 20 * MIB < limits.max_kept < 34 * MIB
    for page in ("/accounts/acme/greetings/", "/accounts/acme/edit/", "/accounts/new/greetings/"):
        limits = get_body_limits(page)
        assert limits.max_kept == MIB
        assert not limits.needs_permission
