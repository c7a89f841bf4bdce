"""The layout of every page: nothing overlaps, is cut or is too small to hit."""

from pathlib import Path

import pytest
from django.contrib.auth.models import User
from playwright.sync_api import expect

from mailboxes import batches
from mailboxes.models import Account, ApiCredential, Batch, Mailbox, Message
from tests.browser.conftest import sign_in
from tests.browser.test_stored_script import NOT_PAGES
from tests.security.addresses import build_addresses
from tests.security.conftest import rosa, rows  # noqa: F401

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.long]

WIDTHS = [375, 768, 820, 840, 1024, 1280, 1920]
FAULTS = Path(__file__).with_name("layout.js").read_text()
HAS_NOTHING_ABOVE = """
    (part) => {
        const { left, right, top, bottom } = part.getBoundingClientRect();
        for (let x = left + 5; x < right - 5; x += 5)
            for (let y = top + 5; y < Math.min(bottom, innerHeight) - 5; y += 5)
                if (!part.contains(document.elementFromPoint(x, y))) return false;
        return true;
    }
"""
# The distances of the first lines of cells from that of the first cell, in each row.
FIRST_LINES = """
    rows => rows.flatMap(row => {
        const tops = [...row.cells].filter(cell => cell.innerText.trim()).map(cell => {
            const range = document.createRange();
            const texts = document.createTreeWalker(cell, NodeFilter.SHOW_TEXT,
                node => node.data.trim() && node.parentElement.checkVisibility() ? 1 : 2);
            range.selectNodeContents(texts.nextNode());
            return range.getClientRects()[0].bottom;
        });
        return tops.map(top => Math.abs(top - tops[0]));
    })
"""
LONG_NAME = "maximiliane.von-und-zu-hohenlohe-langenburg"


def resize(page, width):
    page.set_viewport_size({"width": width, "height": 800})


@pytest.fixture
def addresses(rows):  # noqa: F811
    """Return the addresses of all pages but Django's admin, with long names on them."""
    account = Account.objects.create(name="a" * 64, reseller=rows["account"])
    ApiCredential.objects.issue(rows["account"], "n" * 64, "2001:db8::/32")
    Mailbox.objects.create(account=account, name="W" * 100, password="1234").soft_delete()
    Mailbox.objects.create(account=rows["account"], name="W" * 100, password="1234")
    Message.objects.update(caller_id_name="W" * 100, caller_id_number="1" * 64, duration=900)
    selection = f"?uuid={rows['mailbox'].pk}"
    return [
        address + (selection if address.startswith(("/bulk/", "/export/")) else "")
        for address in build_addresses(rows)
        if not address.startswith((*NOT_PAGES, "/admin/", "/health", "/ready", "/sounds/"))
        and not address.endswith((".csv", "/recording/"))
    ] + ["/?state=deleted&transcribe=off&account=acme", "/?q=x", "/accounts/?q=x", "/nowhere/"]


def test_every_page_fits_every_window(page, addresses):
    sign_in(page, LONG_NAME)
    faults = []
    for address in addresses:
        page.goto(address)
        page.evaluate(
            "for (const each of document.querySelectorAll('main details:not(.filters)')) each.open = true"
        )
        for width in WIDTHS:
            resize(page, width)
            faults += [f"{address} at {width} px: {fault}" for fault in page.evaluate(FAULTS)]
    assert not faults, "\n".join(faults)


def test_public_pages_fit_every_window(page):
    for address in ("/sign-in/", "/docs/", "/docs/connect/", "/docs/try/"):
        page.goto(address)
        for width in WIDTHS:
            resize(page, width)
            assert page.evaluate(FAULTS) == [], f"{address} at {width} px"


def test_filters_are_above_the_table(page, addresses):
    sign_in(page, LONG_NAME)
    page.get_by_text("Filter", exact=True).click()
    for width in WIDTHS:
        resize(page, width)
        assert page.locator(".filters > div").evaluate(HAS_NOTHING_ABOVE)


def test_menu_opens_by_keyboard_in_a_narrow_window(page):
    sign_in(page, LONG_NAME)
    menu, sign_out = (page.get_by_role("button", name=name) for name in ("Menu", "Sign out"))
    for width in (375, 768, 839):
        resize(page, width)
        assert page.locator(".bar").bounding_box()["height"] < 60
        expect(sign_out).to_be_hidden()
        menu.press("Enter")
        expect(sign_out).to_be_visible()
        assert page.evaluate(FAULTS, ".bar") == []
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="Mailboxes")).to_be_focused()
        page.keyboard.press("Escape")
        expect(sign_out).to_be_hidden()
        expect(menu).to_be_focused()
    for width in (840, 900, 959, 960, 1024, 1184, 1280):
        resize(page, width)
        assert page.locator(".bar").bounding_box()["height"] < 60
        expect(menu).to_be_hidden()
        expect(sign_out).to_be_visible()
        assert page.evaluate(FAULTS, ".bar") == []


def test_menu_works_without_javascript(browser, live_server, db):
    size = {"width": 375, "height": 800}
    context = browser.new_context(
        base_url=live_server.url, java_script_enabled=False, viewport=size
    )
    page = context.new_page()
    sign_in(page, "rosa")
    page.get_by_role("button", name="Menu").click()
    page.get_by_role("link", name="Connect your PBX").click()
    expect(page.get_by_role("heading", name="Connect your PBX")).to_be_visible()
    context.close()


def test_logo_is_in_line_with_the_content(page):
    sign_in(page, "rosa")
    for width in WIDTHS:
        resize(page, width)
        logo, title = (page.locator(part).bounding_box()["x"] for part in (".brand", "h1"))
        assert abs(logo - title) < 1


def test_label_and_value_are_on_one_line_on_a_phone(page):
    sign_in(page, "rosa")
    user = User.objects.get()
    account = Account.objects.create(name="acme")
    mailbox = Mailbox.objects.create(account=account, name="Sales")
    batches.change_each(
        user, Batch.Action.DELETED, {mailbox.pk: mailbox.version}, batches.mark_deleted
    )
    resize(page, 375)
    page.goto("/changes/")
    for label in ("Who", "When"):
        cell = page.locator(f"[data-label={label}]")
        height = "cell => cell.clientHeight / parseFloat(getComputedStyle(cell).lineHeight)"
        assert cell.evaluate(height) < 1.5


def test_first_lines_of_a_row_are_in_line(page):
    sign_in(page, LONG_NAME)
    account = Account.objects.create(name="acme")
    for name in ("Sales", "Front desk of the building " * 3):
        mailbox = Mailbox.objects.create(account=account, name=name.strip())
        versions = {mailbox.pk: mailbox.version}
        batches.change_each(
            User.objects.get(), Batch.Action.DELETED, versions, batches.mark_deleted
        )
    for address in ("/changes/", "/?state=deleted"):
        page.goto(address)
        for width in (900, 1280):
            resize(page, width)
            distances = page.locator("tbody tr").evaluate_all(FIRST_LINES)
            assert max(distances) < 3, f"{address} at {width} px"


def test_actions_for_selected_rows_stay_in_view_and_move_no_rows(page):
    sign_in(page, "rosa")
    account = Account.objects.create(name="acme")
    for number in range(40):
        Mailbox.objects.create(account=account, name=f"Desk {number:02}")
    page.goto("/")
    delete = page.get_by_role("button", name="Delete")
    for width in WIDTHS:
        resize(page, width)
        last = page.locator("tr[data-row]").last
        last.scroll_into_view_if_needed()
        before = last.bounding_box()
        last.locator("[name=uuid]").check()
        assert last.bounding_box() == before
        expect(delete).to_be_in_viewport(ratio=1)
        assert delete.evaluate(HAS_NOTHING_ABOVE)
        page.evaluate("scrollTo(0, document.body.scrollHeight)")
        assert page.locator(".pages").last.evaluate(HAS_NOTHING_ABOVE)
        assert page.evaluate(FAULTS) == []
        last.locator("[name=uuid]").uncheck()
        expect(delete).to_be_hidden()


def test_values_of_a_card_are_on_one_line_on_a_phone(page):
    sign_in(page, "rosa")
    account = Account.objects.create(name="fontaine-pharmacy")
    Mailbox.objects.create(account=account, name="Sales", transcribe=True)
    resize(page, 375)
    page.goto("/")
    height = "cell => cell.clientHeight / parseFloat(getComputedStyle(cell).lineHeight)"
    cells = page.locator("td[data-label]")
    assert cells.count() == 7
    assert max(cell.evaluate(height) for cell in cells.all()) < 1.5


def test_checkbox_is_in_line_with_the_first_line_of_its_label(page):
    sign_in(page, "rosa")
    page.goto("/staff/new/")
    middles = """
        box => {
            const range = document.createRange();
            range.selectNodeContents(box.labels[0].lastChild);
            const middle = ({ top, bottom }) => (top + bottom) / 2;
            return middle(range.getClientRects()[0]) - middle(box.getBoundingClientRect());
        }
    """
    for width in (375, 1280):
        resize(page, width)
        for box in page.locator("[name=groups]").all():
            assert abs(box.evaluate(middles)) < 3
            assert box.bounding_box()["width"] >= 16


def test_buttons_of_a_long_page_are_at_the_edge_of_a_phone(page):
    sign_in(page, "rosa")
    Mailbox.objects.create(account=Account.objects.create(name="acme"), name="Sales")
    resize(page, 375)
    page.goto("/bulk/change/?all=on")
    bar = page.locator("#confirm").bounding_box()
    assert (bar["x"], bar["width"], bar["y"] + bar["height"]) == (0, 375, 800)
    page.evaluate("scrollTo(0, document.body.scrollHeight)")
    assert page.locator("#effects").evaluate(HAS_NOTHING_ABOVE)


def test_columns_of_a_file_do_not_scroll_sideways_on_a_phone(page):
    sign_in(page, "rosa")
    resize(page, 375)
    page.goto("/import/")
    table = page.locator(".cards")
    assert table.evaluate("table => table.scrollWidth <= table.clientWidth")
    label = "cell => getComputedStyle(cell, '::before').content"
    assert table.locator("td").nth(1).evaluate(label) == '"An empty cell means "'
