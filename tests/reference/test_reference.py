"""The API reference page."""

import gzip
import re

import pytest

from mailboxes.api.schema_texts import RESPONSE_HEADERS
from mailboxes.validators import is_weak_pass_code


@pytest.fixture
def text(client, db):
    response = client.get("/docs/", headers={"Host": "localhost:8080"})
    assert response.status_code == 200
    return response.content.decode()


def test_page_has_the_texts_of_the_published_reference(text):
    for words in (
        "Voicemails &amp; Mailboxes",
        "Mailboxes are used in call routes to allow callers to leave a voicemail message",
        "No command here is charged.",
        "Gets all active mailboxes on an account",
        "Gets the details for a specific mailbox on an account",
        "The UUID of the Mailbox to be queried",
        "This command has no URL/Query String parameters",
        "Should the system play the &#x27;beep&#x27; sound after the greeting",
        "The 4 digit pass code required to access this mailbox",
        "JSON all-fields example",
    ):
        assert words in text


def test_commands_are_in_the_published_order(text):
    commands = ["list_mailboxes", "get_mailbox", "create_mailbox", "update_mailbox"]
    commands += ["change_mailbox", "delete_mailbox", "list_recipients", "check_credentials"]
    places = [text.index(f'<h3 id="{command}">') for command in commands]
    assert places == sorted(places)
    assert text.count("Back to top") == text.count("<h3 ") == 37


def test_no_sample_has_a_weak_pass_code(text):
    codes = set(re.findall(r"password&quot;: &quot;(\d{4})", text))
    assert [code for code in codes if is_weak_pass_code(code)] == []
    assert codes


def test_samples_have_the_host_and_every_header(text):
    assert "curl -sS http://localhost:8080/voip/mailbox \\" in text
    assert "curl -sS -X POST http://localhost:8080/voip/mailbox \\" in text
    for header in ("X-Auth-Reseller", "X-Auth-User", "X-Auth-Password"):
        assert text.count(f"-H &quot;{header}: $MAILBOXES_") == 37


def test_python_samples_use_https_if_the_page_does(client, db):
    text = client.get("/docs/", secure=True).content.decode()
    assert "HTTPSConnection(&quot;testserver&quot;)" in text


def test_page_explains_migration_from_the_hosted_api(text):
    for words in ("Changes in your program", "The same as before", "Additions", "Points to check"):
        assert words in text


def test_page_says_that_messages_are_an_addition(text):
    messages = text.split('<h2 id="commands-messages">')[1].split("</section>")[0]
    assert "No public page of the hosted API describes messages" in messages
    assert "multipart/form-data" in messages


def test_page_names_the_resources_that_do_not_exist(text):
    for name in ("user", "group", "phone-book", "flow", "queue-group"):
        assert f"<code>/voip/{name}</code>" in text


def test_example_without_content_has_a_status_message(text):
    assert "&quot;status_message&quot;: &quot;No Content&quot;" in text


@pytest.mark.parametrize(
    ("section", "words"),
    {
        "answers": ["401", "404", "405", "406", "500", "503", "X-Request-ID", "Retry-After"],
        "two-programs": ["ETag", "If-Match", "If-None-Match", "304", "412"],
        "safe-retries": ["Idempotency-Key", "Idempotency-Replayed", "24 hours", "409", "422"],
        "finding": ["limit", "cursor", "Link", "X-Total-Count", "400", "changed_since", "outdated"],
        "receive-webhooks": ["webhook-id", "webhook-signature", "whsec_", "410", "15 seconds"],
        "limits": ["RateLimit", "RateLimit-Policy", "Retry-After", "429"],
    }.items(),
)
def test_sections_explain_common_behaviour(text, section, words):
    explained = text.split(f'<h2 id="{section}">')[1].split("</section>")[0]
    assert [word for word in words if word not in explained] == []


def test_common_errors_are_documented_once(text):
    assert text.count(">503</code> Service Unavailable") == 1
    assert text.count(">404</code> Not Found") > 1


def test_every_response_header_is_explained(text):
    assert [name for name in RESPONSE_HEADERS if name not in text] == []


def test_table_of_contents_lists_every_section(text):
    sections = re.findall(r'<h2 id="([\w-]+)">', text)
    assert len(sections) == 14
    assert [section for section in sections if f'href="#{section}"' not in text] == []


@pytest.mark.parametrize("page", ["/docs/", "/docs/connect/"])
def test_links_within_the_page_have_a_target(client, db, page):
    text = client.get(page).text
    links = {part.split('"')[0] for part in text.split('href="#')[1:]}
    assert [link for link in links if f'id="{link}"' not in text] == []


@pytest.mark.parametrize("page", ["/docs/", "/docs/try/"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE"])
def test_other_methods_are_not_allowed(client, db, page, method):
    assert client.generic(method, page).status_code == 405


@pytest.mark.parametrize("page", ["/docs/", "/docs/connect/", "/docs/try/"])
def test_page_is_compressed_for_visitors_who_are_not_signed_in(client, db, page):
    plain = client.get(page, headers={"Accept-Encoding": "br"})
    answer = client.get(page, headers={"Accept-Encoding": "gzip, br"})
    assert gzip.decompress(answer.content) == plain.content
    assert answer["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain
    for each in (plain, answer):
        assert "Accept-Encoding" in each["Vary"]


def test_page_of_a_signed_in_user_is_not_compressed(client, admin_user):
    """It has the form's token and the user's name, whose text its size could reveal."""
    client.force_login(admin_user)
    for page in ("/docs/", "/mailboxes/", "/me/"):
        assert "Content-Encoding" not in client.get(page, headers={"Accept-Encoding": "gzip"})


@pytest.mark.parametrize("page", ["/docs/", "/docs/try/"])
def test_each_id_stands_once(client, db, page):
    ids = re.findall(r'\sid="([^"]+)"', client.get(page).text)
    assert [each for each in set(ids) if ids.count(each) > 1] == []
