"""Text of callers and staff never becomes a header of an answer or a script on a page."""

from html import escape

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse

from mailboxes.csvfiles import importing
from mailboxes.models import Mailbox
from tests.conftest import headers_for
from tests.security.addresses import build_addresses
from tests.security.conftest import SCRIPTS

CRLF = ["x\r\nX-Evil: 1", "x\nX-Evil: 1", "x\rX-Evil: 1", "x\u2028X-Evil: 1", "x\x85X-Evil: 1"]


def find_injected(headers) -> list:
    return [name for name, value in headers.items() if "evil" in name.lower() or "\n" in value]


@pytest.mark.django_db
@pytest.mark.parametrize("text", CRLF)
def test_line_break_in_a_call_adds_no_header(account, text):
    """Answers repeat a caller's X-Request-ID, and name the created mailbox in Location."""
    headers = headers_for(account) | {"X-Request-ID": text, "Idempotency-Key": text}
    answer = Client().post(
        "/voip/mailbox", {"name": text}, content_type="application/json", headers=headers
    )
    assert answer.status_code in (201, 400)
    assert find_injected(answer.headers) == []
    assert "Evil" not in str(answer.headers)


@pytest.mark.django_db
@pytest.mark.parametrize("text", CRLF)
def test_line_break_in_a_form_adds_no_header(client, rosa, account, text):
    """Pages put the target of a redirect and the names of files into headers."""
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
        answer.getvalue()  # closes a file
    assert [find_injected(answer.headers) for answer in answers] == [[]] * len(answers)
    for answer in answers:
        answer.close()


def find_unescaped(page_text) -> list:
    return [script for script in [*SCRIPTS[:4], "alert(7)<"] if script in page_text]


@pytest.mark.django_db
def test_script_is_escaped_on_every_page(client, rosa, script_rows):
    client.force_login(rosa)
    pages = {address: client.get(address) for address in build_addresses(script_rows)}
    for page in pages.values():
        page.getvalue()  # closes a file
    html = {a: p.text for a, p in pages.items() if "text/html" in p.get("Content-Type", "")}
    found = {address: find_unescaped(text) for address, text in html.items()}
    assert {address: scripts for address, scripts in found.items() if scripts} == {}
    assert sum(escape(SCRIPTS[0]) in text for text in html.values()) > 20
    for page in pages.values():
        page.close()


@pytest.mark.django_db
@pytest.mark.parametrize("script", SCRIPTS)
def test_script_is_escaped_in_an_error(client, rosa, rows, script):
    """A refused form is shown again with its input and the errors."""
    client.force_login(rosa)
    forms = [
        ("/mailboxes/new/", {"name": script, "account": script, "password": script}),
        ("/accounts/-/new/", {"name": script, "contact_name": script}),
        ("/staff/new/", {"username": script, "first_name": script, "groups": script}),
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
    assert [find_unescaped(answer.text) for answer in answers] == [[]] * len(answers)
