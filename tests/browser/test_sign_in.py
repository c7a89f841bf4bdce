"""Sign-in in two tabs, and sessions that end while somebody types, in a real browser."""

import re

import pytest
from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from playwright.sync_api import expect

from mailboxes.models import Account, Mailbox
from tests.browser.conftest import assert_accessible
from tests.messages import leave_message

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]

NOT_SAVED = "You were signed out, so nothing was saved."


@pytest.fixture
def sales(page):
    User.objects.create_superuser("rosa", password="correct horse")
    mailbox = Mailbox.objects.create(account=Account.objects.create(name="acme"), name="Sales")
    mailbox.add_recipient("ann@acme.example")
    return mailbox


def sign_in(page, username="rosa"):
    page.get_by_label("Username").fill(username)
    page.get_by_label("Password").fill("correct horse")
    page.get_by_role("main").get_by_role("button", name="Sign in").click()


def open_signed_in(page, address):
    page.goto(address)
    sign_in(page)
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    page.wait_for_load_state()  # its scripts watch what is typed


def end_session():
    Session.objects.all().delete()


def test_second_tab_signs_in_or_gives_the_reason(page, sales):
    second, third = page.context.new_page(), page.context.new_page()
    for tab in (second, third):
        tab.goto("/sign-in/?next=/accounts/")
    open_signed_in(page, "/")
    sign_in(second)
    expect(second).to_have_url(f"{page.url}accounts/")
    third.console_messages = []
    sign_in(third, "hugo")
    expect(third.get_by_role("alert")).to_contain_text("“rosa” has signed in since")
    assert_accessible(third)
    third.get_by_role("link", name="Go on as rosa").click()
    expect(third).to_have_url(f"{page.url}accounts/")


def test_text_typed_before_the_session_ended_is_in_the_form_again(page, sales):
    open_signed_in(page, f"/mailboxes/{sales.pk}/")
    page.get_by_label("Name").fill("Support")
    page.get_by_label("Pass code").fill("4826")
    page.get_by_label("Beep").uncheck()
    end_session()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("What you typed before is not saved.")).to_be_visible()
    assert_accessible(page)
    sign_in(page)
    expect(page.get_by_text(NOT_SAVED)).to_contain_text("Pass codes and passwords are not kept")
    expect(page.get_by_label("Name")).to_have_value("Support")
    expect(page.get_by_label("Pass code")).to_have_value("")
    expect(page.get_by_label("Beep")).not_to_be_checked()
    assert_accessible(page)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved: “Support”.")).to_be_visible()


def test_buttons_that_change_a_part_of_the_page_keep_its_text_too(page, sales):
    open_signed_in(page, f"/mailboxes/{sales.pk}/")
    page.get_by_label("Name").fill("Support")
    end_session()
    page.get_by_role("button", name="Suggest a pass code").click()
    sign_in(page)
    expect(page.get_by_label("Name")).to_have_value("Support")
    page.get_by_label("Email address").fill("bob@acme.example")
    end_session()
    page.get_by_role("button", name="Add").click()
    sign_in(page)
    expect(page.get_by_label("Email address")).to_have_value("bob@acme.example")


def test_button_of_another_form_keeps_the_text_too(page, sales):
    open_signed_in(page, f"/mailboxes/{sales.pk}/")
    page.get_by_label("Name").fill("Support")
    end_session()
    page.get_by_role("button", name="Remove ann@acme.example").click()
    sign_in(page)
    expect(page.get_by_label("Name")).to_have_value("Support")


def test_search_and_settings_are_kept_in_the_address(page, sales):
    open_signed_in(page, "/")
    end_session()
    page.get_by_label("Search the mailboxes").fill("ann@")
    sign_in(page)
    expect(page).to_have_url(re.compile(r"/\?q=ann%40$"))
    page.goto("/bulk/change/?all=on")
    end_session()
    page.get_by_label("Transcribe").select_option("On")
    sign_in(page)
    expect(page.get_by_text("changes 1 of 1 mailbox")).to_be_visible()


def test_play_button_leads_to_sign_in_and_back(page, sales):
    message = leave_message(sales, "Ann Smith")
    address = f"/mailboxes/{sales.pk}/messages/{message.pk}/"
    open_signed_in(page, address)
    end_session()
    page.get_by_role("button", name="Play").click()
    sign_in(page)
    expect(page).to_have_url(re.compile(address + "$"))
    page.get_by_role("button", name="Play").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()


def test_page_that_is_older_than_the_sign_in_of_another_tab_keeps_its_text(page, sales):
    open_signed_in(page, f"/mailboxes/{sales.pk}/")
    page.get_by_label("Email address").fill("bob@acme.example")
    end_session()
    open_signed_in(page.context.new_page(), "/")
    page.get_by_role("button", name="Add").click()
    expect(page.get_by_text(NOT_SAVED)).to_be_visible()
    expect(page.get_by_label("Email address")).to_have_value("bob@acme.example")
    end_session()
    open_signed_in(page.context.new_page(), "/")
    page.get_by_label("Name").fill("Support")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", name="This form is too old to send")).to_be_visible()
    page.console_messages = []  # the status 403
    assert_accessible(page)
    page.get_by_role("link", name="Open the page again").click()
    expect(page.get_by_label("Name")).to_have_value("Support")
