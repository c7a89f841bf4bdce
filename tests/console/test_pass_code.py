"""A pass code shown, made and judged, before anything is saved."""

import logging

import pytest
from django.contrib.admin.models import LogEntry

from mailboxes.encryption import KeyRing
from mailboxes.models import Mailbox
from mailboxes.validators import is_pass_code, is_weak_pass_code
from tests.console.conftest import messages
from tests.console.test_mailbox_change import page_of, typed
from tests.service import shows

WEAK = "This pass code is easy to guess"


def press(browser, mailbox, button, **fields):
    """Press Save, or a button of the pass code field, with what is typed."""
    address = page_of(mailbox) + ("" if button == "save" else f"pass-code/{button}/")
    return browser.post(address, typed(browser, mailbox, **fields))


def code_in(response):
    return response.context["form"]["password"].value()


def test_is_masked_until_shown(support, sales):
    assert code_in(support.get(page_of(sales))) == "••••"
    response = press(support, sales, "show")
    assert code_in(response) == "1234"
    assert "no-store" in response.headers["Cache-Control"]


def test_that_it_was_shown_is_written_down(support, sales):
    press(support, sales, "show")
    entry = LogEntry.objects.get()
    assert (entry.user, entry.object_id) == (support.user, str(sales.pk))
    assert entry.get_change_message() == "Pass code shown."
    page = support.get(f"{page_of(sales)}history/").content.decode()
    assert "Who saw or exported the pass code" in page


def test_looking_at_the_page_shows_it_to_nobody(support, sales):
    support.get(page_of(sales))
    press(support, sales, "check")
    press(support, sales, "suggest")
    assert not LogEntry.objects.exists()


def test_reaches_no_log(support, sales, caplog):
    with caplog.at_level(logging.DEBUG):
        press(support, sales, "show")
        press(support, sales, "save", password="7392")
    assert not shows(caplog.text, "1234")
    assert not shows(caplog.text, "7392")


def test_a_good_one_is_made_and_not_saved(support, sales):
    response = press(support, sales, "suggest", name="Typed")
    code = code_in(response)
    assert is_pass_code(code)
    assert not is_weak_pass_code(code)
    assert response.context["form"]["name"].value() == "Typed"
    assert Mailbox.objects.get().password == "1234"


def test_a_weak_one_is_warned_of(support, sales):
    assert WEAK in support.get(page_of(sales)).content.decode()
    for code in ("1111", "4321", "1984", "2580"):
        assert WEAK in press(support, sales, "check", password=code).content.decode()
    for code in ("7392", "73", "", "abcd"):
        assert WEAK not in press(support, sales, "check", password=code).content.decode()


def test_a_weak_one_may_be_saved(support, sales):
    press(support, sales, "save", password="4321")
    assert Mailbox.objects.get().password == "4321"


def test_a_new_weak_one_is_refused_where_the_policy_says_so(support, sales, settings):
    settings.PASS_CODE_POLICY = "reject"
    response = press(support, sales, "save", password="7777")
    assert "It is easy to guess: it repeats one digit." in response.content.decode()
    assert Mailbox.objects.get().version == sales.version
    press(support, sales, "save", name="Support", password="••••")
    changed = Mailbox.objects.get()
    assert (changed.name, changed.password) == ("Support", "1234")


def test_none_is_said_plainly(support, sales):
    page = press(support, sales, "check", password="").content.decode()
    assert "Without a pass code nobody can listen to the messages by phone." in page


def test_one_that_cannot_be_opened_says_so(support, sales, settings):
    settings.PASS_CODE_KEYS = KeyRing([bytes(32)])
    response = press(support, sales, "show")
    assert "A pass code cannot be decrypted" in messages(response)[0]
    assert code_in(response) == "••••"


def test_in_the_place_of_one_that_cannot_be_opened_a_new_one_is_saved(support, sales, settings):
    settings.PASS_CODE_KEYS = KeyRing([bytes(32)])
    assert support.get(page_of(sales)).status_code == 200
    assert support.get("/").status_code == 200
    press(support, sales, "save", name="Support", password="••••")
    assert Mailbox.objects.get().password_sealed == sales.password_sealed
    press(support, sales, "save", password="4829")
    assert Mailbox.objects.get().password == "4829"


BUTTONS = ["show", "suggest", "check"]


@pytest.mark.parametrize("button", BUTTONS)
def test_deleted_mailbox_is_refused(support, sales, button):
    sales.soft_delete()
    assert support.post(f"{page_of(sales)}pass-code/{button}/").status_code == 403
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("button", BUTTONS)
def test_get_leads_back_to_the_form_and_shows_nothing(support, sales, button):
    response = support.get(f"{page_of(sales)}pass-code/{button}/")
    assert response.headers["Location"] == page_of(sales)
    assert not LogEntry.objects.exists()
