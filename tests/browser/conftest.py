"""A real browser, and checks of accessibility and layout."""

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

# The links of the navigation bar that reach outside the window.
LINKS_OUTSIDE_THE_WINDOW = """
    [...document.querySelectorAll(".bar a")]
        .filter(link => link.getBoundingClientRect().right > innerWidth)
        .map(link => link.textContent)
"""
# It beeps once a second, and every page that may use a microphone gets it.
FAKE_MICROPHONE = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
VIOLATIONS = Path(__file__).with_name("violations.js").read_text()


@pytest.fixture(scope="session")
def browser(django_db_setup):
    program = requirements.chromium()
    if program is None:
        requirements.skip_or_fail("browser", "Chromium is not on this machine.")
    # Playwright runs an event loop in this thread, in which Django refuses database access.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program,
            args=["--no-sandbox", *FAKE_MICROPHONE],
        )
        yield browser
        browser.close()
        # Connections opened while the event loop runs cannot be reached after it has ended.
        connections.close_all()


@pytest.fixture
def page(browser, live_server):
    """Return a page with the messages of the browser's console as `page.console_messages`."""
    context = browser.new_context(base_url=live_server.url)
    page = context.new_page()
    page.console_messages = []
    page.on("console", lambda message: page.console_messages.append(message.text))
    page.on("pageerror", lambda error: page.console_messages.append(str(error)))
    yield page
    context.close()


def sign_in(page, username, group=None, **fields):
    """Sign in a new member of the group, or else a superuser, and open the mailbox table."""
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
    sign_in(page, "rosa")


def assert_accessible(page, console_messages=()):
    """Check the page in light and dark, narrow and wide; the window stays wide.

    It is accessible and no wider than the window, the navigation bar shows every link, and the
    browser's console has only the expected messages.
    """
    page.wait_for_load_state()  # a click waits only for the first byte of the next page
    page.evaluate(AXE_SCRIPT)
    for scheme, width in product(["light", "dark"], [375, 1280]):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 800})
        # Dark mode changes only colours, so the other rules run once.
        violations = page.evaluate(VIOLATIONS, scheme == "light")
        assert violations == [], f"{scheme}, {width} px"
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{width} px"
        assert page.evaluate(LINKS_OUTSIDE_THE_WINDOW) == [], f"{width} px"
    assert page.console_messages == list(console_messages)
