"""Show, suggest and check a pass code on the mailbox page."""

import logging

import pytest
from django.contrib.admin.models import LogEntry

from mailboxes.encryption import KeyRing
from mailboxes.models import Mailbox
from mailboxes.validators import is_pass_code, is_weak_pass_code
from tests.console.conftest import DELETED, list_messages
from tests.console.test_mailbox_change import get_address, get_form_values
from tests.service import shows

WEAK = "This pass code is easy to guess"


def press_button(browser, mailbox, button, **fields):
    """Press Save, or a button of the pass code, with these fields filled in."""
    address = get_address(mailbox) + ("" if button == "save" else f"pass-code/{button}/")
    return browser.post(address, get_form_values(browser, mailbox, **fields))


def get_pass_code(response):
    return response.context["form"]["password"].value()


def test_pass_code_is_masked_until_shown(support, sales):
    assert get_pass_code(support.get(get_address(sales))) == "••••"
    response = press_button(support, sales, "show")
    assert get_pass_code(response) == "1234"
    assert "no-store" in response.headers["Cache-Control"]


def test_shown_pass_code_is_hidden_again_and_kept(support, sales):
    page = press_button(support, sales, "show").content.decode()
    assert "Hide</button>" in " ".join(page.split()).replace(" </button>", "</button>")
    response = press_button(support, sales, "hide", name="Typed", password="1234")
    assert (get_pass_code(response), response.context["form"]["name"].value()) == ("••••", "Typed")
    assert not shows(response.content.decode(), "1234")
    assert "Hide" not in response.content.decode()


def test_showing_a_pass_code_is_recorded(support, sales):
    press_button(support, sales, "show")
    entry = LogEntry.objects.get()
    assert (entry.user, entry.object_id) == (support.user, str(sales.pk))
    assert entry.get_change_message() == "Pass code shown."
    page = support.get(f"{get_address(sales)}history/").content.decode()
    assert "Who saw or exported the pass code" in page


def test_other_requests_are_not_recorded_as_showing(support, sales):
    support.get(get_address(sales))
    press_button(support, sales, "check")
    press_button(support, sales, "suggest")
    assert not LogEntry.objects.exists()


def test_pass_code_is_not_logged(support, sales, caplog):
    with caplog.at_level(logging.DEBUG):
        press_button(support, sales, "show")
        press_button(support, sales, "save", password="7392")
    assert not shows(caplog.text, "1234")
    assert not shows(caplog.text, "7392")


def test_suggested_pass_code_is_not_saved(support, sales):
    response = press_button(support, sales, "suggest", name="Typed")
    code = get_pass_code(response)
    assert is_pass_code(code)
    assert not is_weak_pass_code(code)
    assert response.context["form"]["name"].value() == "Typed"
    assert Mailbox.objects.get().password == "1234"


def test_page_warns_of_a_weak_pass_code(support, sales):
    assert WEAK in support.get(get_address(sales)).content.decode()
    for code in ("1111", "4321", "1984", "2580"):
        assert WEAK in press_button(support, sales, "check", password=code).content.decode()
    for code in ("7392", "73", "", "abcd"):
        assert WEAK not in press_button(support, sales, "check", password=code).content.decode()


def test_weak_pass_code_can_be_saved(support, sales):
    press_button(support, sales, "save", password="4321")
    assert Mailbox.objects.get().password == "4321"


def test_policy_refuses_a_new_weak_pass_code(support, sales, settings):
    settings.PASS_CODE_POLICY = "reject"
    response = press_button(support, sales, "save", password="7777")
    assert "It is easy to guess: it repeats one digit." in response.content.decode()
    assert Mailbox.objects.get().version == sales.version
    press_button(support, sales, "save", name="Support", password="••••")
    changed = Mailbox.objects.get()
    assert (changed.name, changed.password) == ("Support", "1234")


def test_missing_pass_code_is_explained(support, sales):
    page = press_button(support, sales, "check", password="").content.decode()
    assert "Without a pass code nobody can listen to the messages by phone." in page


def test_pass_code_with_a_lost_key_is_explained(support, sales, settings):
    settings.PASS_CODE_KEYS = KeyRing([bytes(32)])
    response = press_button(support, sales, "show")
    assert "A pass code cannot be decrypted" in list_messages(response)[0]
    assert "Ask your administrator." in list_messages(response)[0]
    assert get_pass_code(response) == "••••"


def test_new_pass_code_replaces_one_with_a_lost_key(support, sales, settings):
    settings.PASS_CODE_KEYS = KeyRing([bytes(32)])
    assert support.get(get_address(sales)).status_code == 200
    assert support.get("/").status_code == 200
    press_button(support, sales, "save", name="Support", password="••••")
    assert Mailbox.objects.get().password_sealed == sales.password_sealed
    press_button(support, sales, "save", password="4829")
    assert Mailbox.objects.get().password == "4829"


BUTTONS = ["show", "hide", "suggest", "check"]


@pytest.mark.parametrize("button", BUTTONS)
def test_buttons_are_refused_for_a_deleted_mailbox(support, sales, button):
    sales.soft_delete()
    response = support.post(f"{get_address(sales)}pass-code/{button}/", {"name": "Typed"})
    assert list_messages(response) == [DELETED]
    assert response.context["form"]["name"].value() == "Typed"
    assert response["HX-Reswap"] == "none"  # the page with what was typed stays
    assert not LogEntry.objects.exists()


@pytest.mark.parametrize("button", BUTTONS)
def test_get_request_leads_back_to_the_form(support, sales, button):
    response = support.get(f"{get_address(sales)}pass-code/{button}/")
    assert response.headers["Location"] == get_address(sales)
    assert not LogEntry.objects.exists()
