"""Take the README's pictures of the console with demo data: `make screenshots`."""

import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

import tests.settings  # noqa: F401  sets temporary keys
from tests import requirements
from tests.server import ROOT, Server

PASSWORD = "correct horse"
SCHEMES = ["light", "dark"]


def main():
    with tempfile.TemporaryDirectory() as folder:
        server = Server(f"sqlite:///{folder}/demo.sqlite3", DJANGO_SUPERUSER_PASSWORD=PASSWORD)
        server.manage("migrate", "--verbosity", "0")
        server.manage("load_demo", "--accounts", "40", "--mailboxes", "2400")
        server.manage("createsuperuser", "--noinput", "--username=rosa", "--email=")
        with server, sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=requirements.chromium(), args=["--no-sandbox"]
            )
            for scheme in SCHEMES:
                take_picture(browser, f"http://127.0.0.1:{server.port}", scheme)
            browser.close()


def take_picture(browser, address, scheme):
    """Take a picture of the filtered table of mailboxes, with some rows selected."""
    page = browser.new_page(
        base_url=address,
        color_scheme=scheme,
        locale="en-GB",
        timezone_id="Europe/London",
        viewport={"width": 1280, "height": 720},
    )
    page.goto("/sign-in/?next=/%3Ftranscribe%3Don%26order%3D-updated")
    page.get_by_label("Username").fill("rosa")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    for row in (2, 3, 5):
        page.locator("[name=uuid]").nth(row).check()
    page.mouse.move(0, 0)
    picture = Path(ROOT, "docs", f"console-{scheme}.png")
    picture.parent.mkdir(exist_ok=True)
    page.screenshot(path=picture)
    page.close()


if __name__ == "__main__":
    main()
