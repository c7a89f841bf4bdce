"""Nothing that callers or staff write becomes a line of an answer's head, or script on a page."""

from html import escape

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from mailboxes.csvfiles import importing
from mailboxes.models import Mailbox
from tests.conftest import headers_for
from tests.security.addresses import addresses
from tests.security.conftest import SCRIPTS

CRLF = ["x\r\nX-Evil: 1", "x\nX-Evil: 1", "x\rX-Evil: 1", "x\u2028X-Evil: 1", "x\x85X-Evil: 1"]


def evil(headers) -> list:
    return [name for name, value in headers.items() if "evil" in name.lower() or "\n" in value]


@pytest.mark.django_db
@pytest.mark.parametrize("text", CRLF)
def test_no_line_of_the_head_comes_from_the_api(account, text):
    """Of a caller's own request id, its key for safe retries, the address of what it made."""
    headers = headers_for(account) | {"X-Request-ID": text, "Idempotency-Key": text}
    answer = Client().post(
        "/voip/mailbox", {"name": text}, content_type="application/json", headers=headers
    )
    assert answer.status_code in (201, 400)
    assert evil(answer.headers) == []
    assert "Evil" not in str(answer.headers)


@pytest.mark.django_db
@pytest.mark.parametrize("text", CRLF)
def test_no_line_of_the_head_comes_from_a_page(client, rosa, account, text):
    """Of what a page leads to, and of the names of its files."""
    client.force_login(rosa)
    Mailbox.objects.create(account=account, name=text)
    source = importing.stage_file(rosa, SimpleUploadedFile("x", b"account,name\nacme,\n"), text)
    answers = [
        client.get("/sign-in/", {"next": f"/{text}"}),
        client.post("/sign-out/", {"next": f"/{text}"}),
        client.get(f"/accounts{text}", follow=False),
    ]
    client.force_login(rosa)
    answers += [
        client.get("/import/template.csv", {"name": text}),
        client.get(reverse("console:import-errors", args=[source.pk])),
        client.post("/export/", {"every": "on", "q": "X-Evil", "separator": ","}),
    ]
    for answer in answers:
        answer.getvalue()  # which closes a file
    assert [evil(answer.headers) for answer in answers] == [[]] * len(answers)
    for answer in answers:
        answer.close()


def unescaped(page_text) -> list:
    """Those of the scripts that stand in the page as they were written."""
    return [script for script in [*SCRIPTS[:4], "alert(7)<"] if script in page_text]


@pytest.mark.django_db
def test_no_page_carries_a_script(client, rosa, written):
    client.force_login(rosa)
    pages = {address: client.get(address) for address in addresses(written)}
    for page in pages.values():
        page.getvalue()  # which closes a file
    html = {a: p.text for a, p in pages.items() if "text/html" in p.get("Content-Type", "")}
    assert {address: unescaped(text) for address, text in html.items() if unescaped(text)} == {}
    assert sum(escape(SCRIPTS[0]) in text for text in html.values()) > 20
    for page in pages.values():
        page.close()


@pytest.mark.django_db
@pytest.mark.parametrize("script", SCRIPTS)
def test_no_error_repeats_one(client, rosa, rows, script):
    """What was typed is shown again beside what is wrong with it."""
    client.force_login(rosa)
    forms = [
        ("/mailboxes/new/", {"name": script, "account": script, "password": script}),
        ("/accounts/-/new/", {"name": script, "contact_name": script}),
        ("/accounts/acme/credentials/new/", {"name": script, "networks": script}),
        (f"/mailboxes/{rows['mailbox'].pk}/recipients/", {"email": script}),
        ("/sign-in/", {"username": script, "password": script, "next": script}),
        ("/me/password/", {"old_password": script, "new_password1": script}),
        ("/admin/mailboxes/account/add/", {"name": script, "contact_name": script}),
        ("/bulk/change/", {"selected": script, "q": script}),
    ]
    answers = [client.post(address, form) for address, form in forms]
    queries = ["/", "/accounts/", "/changes/", "/admin/mailboxes/mailbox/", "/accounts/-/names/"]
    answers += [client.get(path, {"q": script, "page": script, script: script}) for path in queries]
    answers += [client.get(f"/{script}"), client.get(f"/mailboxes/{script}/")]
    assert {answer.status_code for answer in answers} <= {200, 302, 400, 404}
    assert [unescaped(answer.text) for answer in answers] == [[]] * len(answers)
