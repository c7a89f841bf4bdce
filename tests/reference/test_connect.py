"""The public page *Connect your PBX*, with a placeholder for the secret."""

import re
from html import unescape

import pytest

from mailboxes.models import ApiCredential
from tests.console.conftest import sign_in_member_of
from tests.server import ROOT

FILES = sorted([*ROOT.glob("docs/asterisk/*"), *ROOT.glob("docs/freeswitch/*")])
SAMPLE = re.compile(r'<pre id="([\w.]+)" tabindex="0">(.*?)</pre>', re.DOTALL)


@pytest.fixture
def text(client, db):
    response = client.get("/docs/connect/", headers={"Host": "localhost:8080"})
    assert response.status_code == 200
    return response.content.decode()


def test_page_shows_every_sample_file(text):
    """The live tests place calls with these files."""
    files = {name: unescape(file) for name, file in SAMPLE.findall(text)}
    assert sorted(files) == sorted(path.name for path in FILES)
    for path in FILES:
        expected = path.read_text().replace(
            "https://mailboxes.example.com", "http://localhost:8080"
        )
        assert files[path.name] == expected


def test_files_have_the_host_of_the_request(text):
    assert "voicemail =&gt; curl,http://localhost:8080/asterisk/voicemail" in text
    assert "http://localhost:8080/freeswitch/directory" in text
    assert "mailboxes.example.com" not in text


def test_files_use_https_if_the_page_does(client, db):
    text = client.get("/docs/connect/", secure=True).content.decode()
    assert "https://testserver/freeswitch/directory" in text


def test_secret_is_a_placeholder(client, text):
    assert text.count(":mbx_SECRET") == 2
    assert not ApiCredential.objects.exists()
    assert client.post("/docs/connect/").status_code == 405


def test_page_lists_settings_that_freeswitch_lacks(text):
    for words in ("tone-spec", "play-date-announcement", "belongs to a voicemail profile"):
        assert words in text


@pytest.mark.parametrize(("group", "may"), [("Support", False), ("Manager", True)])
def test_link_to_the_account_list_is_shown_to_managers_only(db, group, may):
    text = sign_in_member_of(group).get("/docs/connect/").content.decode()
    assert ("Choose the account" in text) is may


def test_reference_links_to_the_page(client, db):
    assert 'href="/docs/connect/"' in client.get("/docs/").content.decode()
