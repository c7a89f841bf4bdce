"""The page *Connect your PBX*: for everybody, with placeholders for the credential."""

import re
from html import unescape

import pytest

from mailboxes import sample_configuration
from mailboxes.models import ApiCredential
from tests.console.conftest import staff_of
from tests.server import ROOT

FILES = sorted([*ROOT.glob("docs/asterisk/*"), *ROOT.glob("docs/freeswitch/*")])
SHOWN = re.compile(r'<pre id="([\w.]+)" tabindex="0">(.*?)</pre>', re.DOTALL)


@pytest.fixture
def text(client, db):
    response = client.get("/docs/connect/", headers={"Host": "localhost:8080"})
    assert response.status_code == 200
    return response.content.decode()


def test_it_shows_every_file_of_the_sample_configuration(text):
    """The very ones that the tests place calls with, but for the host."""
    shown = {name: unescape(file) for name, file in SHOWN.findall(text)}
    assert sorted(shown) == sorted(path.name for path in FILES)
    for path in FILES:
        kept = shown[path.name].replace("http://localhost:8080", "https://mailboxes.example.com")
        assert kept == path.read_text()


def test_it_carries_the_readers_host(text):
    assert "voicemail =&gt; curl,http://localhost:8080/asterisk/voicemail" in text
    assert "http://localhost:8080/freeswitch/directory" in text
    assert "mailboxes.example.com" not in text


def test_by_https_where_the_page_came_by_it(client, db):
    text = client.get("/docs/connect/", secure=True).content.decode()
    assert "https://testserver/freeswitch/directory" in text


def test_it_has_a_placeholder_for_the_secret_and_issues_none(client, text):
    assert text.count(":mbx_SECRET") == 2
    assert not ApiCredential.objects.exists()
    assert client.post("/docs/connect/").status_code == 405


def test_it_says_what_no_mailbox_can_set_in_freeswitch(text):
    for words in ("tone-spec", "play-date-announcement", "belongs to a voicemail profile"):
        assert words in text


@pytest.mark.parametrize(("group", "may"), [("Support", False), ("Manager", True)])
def test_it_leads_to_the_accounts_whoever_may_issue_a_credential(db, group, may):
    text = staff_of(group).get("/docs/connect/").content.decode()
    assert ("Choose the account" in text) is may


def test_the_reference_leads_to_it(client, db):
    assert 'href="/docs/connect/"' in client.get("/docs/").content.decode()


def test_one_credential_fills_in_either_engine(account):
    credential, _ = ApiCredential.objects.issue(account, "pbx-1", is_engine=True)
    filled = sample_configuration.filled_in("https://x.example", credential, "mbx_1")
    whole = "".join(text for files in filled.values() for text in files.values())
    assert whole.count("pbx-1:mbx_1") == 2
    assert "mbx_SECRET" not in whole
    assert "mailboxes.example.com" not in whole
