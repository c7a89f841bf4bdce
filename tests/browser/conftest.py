"""One browser for the session, and a page of it that keeps what the browser complains of."""

import os
from itertools import product
from pathlib import Path

import pytest
from axe_playwright_python.base import AXE_SCRIPT
from django.conf import settings
from django.contrib.auth.models import Group, User
from django.db import connections
from django.test import Client
from playwright.sync_api import sync_playwright

from tests import requirements

# Links of the bar that one would have to scroll for.
BEYOND_THE_WINDOW = """
    [...document.querySelectorAll(".bar a")]
        .filter(link => link.getBoundingClientRect().right > innerWidth)
        .map(link => link.textContent)
"""
VIOLATIONS = Path(__file__).with_name("violations.js").read_text()


@pytest.fixture(scope="session")
def browser(django_db_setup):
    program = requirements.chromium()
    if program is None:
        requirements.skip_or_fail("browser", "Chromium is not on this machine.")
    # Playwright keeps an event loop in this thread; Django would refuse the database beside it.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()
        # Those opened beside the event loop are kept apart, and go out of sight with it.
        connections.close_all()


@pytest.fixture
def page(browser, live_server):
    """A page; `page.complaints` is what the browser's console said."""
    context = browser.new_context(base_url=live_server.url)
    page = context.new_page()
    page.complaints = []
    page.on("console", lambda message: page.complaints.append(message.text))
    page.on("pageerror", lambda error: page.complaints.append(str(error)))
    yield page
    context.close()


def sign_in(page, username, group=None, **fields):
    """At the mailboxes, signed in: a new member of staff of the group, or one with every right."""
    if group:
        user = User.objects.create_user(username, is_staff=True, **fields)
        user.groups.add(Group.objects.get(name=group))
    else:
        user = User.objects.create_superuser(username, **fields)
    client = Client()
    client.force_login(user)
    session = client.cookies[settings.SESSION_COOKIE_NAME]
    page.context.add_cookies(
        [{"name": session.key, "value": session.value, "domain": "localhost", "path": "/"}]
    )
    page.goto("/")


@pytest.fixture
def rosa(page):
    """Staff with every right, signed in."""
    sign_in(page, "rosa")


def assert_good(page, complaints=()):
    """In light and dark, wide and narrow: accessible, no wider than the window, its bar whole, no complaint but those expected."""
    page.wait_for_load_state()  # a click waits for the next page's first byte alone
    page.evaluate(AXE_SCRIPT)
    for scheme, width in product(["light", "dark"], [1280, 375]):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 800})
        # In the dark only the colours are others.
        violations = page.evaluate(VIOLATIONS, scheme == "light")
        assert violations == [], f"{scheme}, {width} px"
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{width} px"
        assert page.evaluate(BEYOND_THE_WINDOW) == [], f"{width} px"
    assert page.complaints == list(complaints)
