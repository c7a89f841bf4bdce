"""The sample configuration is well-formed, and fits the answers of the service."""

from xml.etree import ElementTree

import pytest

from tests.server import ROOT

SAMPLE = ROOT / "docs/freeswitch"
FILES = sorted(SAMPLE.glob("*.xml"))


def parse_sample(name):
    return ElementTree.parse(SAMPLE / name).getroot()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_each_file_is_well_formed(path):
    assert ElementTree.parse(path).getroot().tag in ("configuration", "include")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_line_is_dropped_by_freeswitch(path):
    """FreeSWITCH drops lines with words of its preprocessor, in comments too."""
    for line in path.read_text().splitlines():
        assert line in ("<include>", "</include>") or "include>" not in line
        assert not any(word in line.lower() for word in ("<?", "x-pre-process", "<!--#", "$${"))


def test_only_the_directory_is_bound_and_the_certificate_is_checked():
    (binding,) = parse_sample("xml_curl.conf.xml").iter("binding")
    params = {param.get("name"): param.attrib for param in binding}
    assert params["gateway-url"]["bindings"] == "directory"
    assert params["gateway-url"]["value"].endswith("/freeswitch/directory")
    assert params["enable-cacert-check"]["value"] == "true"
    assert params["enable-ssl-verifyhost"]["value"] == "true"


def parse_profiles():
    return {
        profile.get("name"): {
            element.get("name"): element.get("value") for element in profile.iter("param")
        }
        for profile in parse_sample("voicemail.conf.xml").iter("profile")
    }


def test_every_profile_shares_messages_and_requires_the_pass_code():
    for params in parse_profiles().values():
        assert params["dbname"] == "voicemail_mailboxes"
        assert params["allow-empty-password-auth"] == "false"
        assert params["change-pass-key"] == "0"


def test_recipients_are_hidden_from_each_other():
    mails = [
        email.find("headers").text for email in parse_sample("voicemail.conf.xml").iter("email")
    ]
    assert len(mails) == 2
    for headers in mails:
        named = [line for line in headers.splitlines() if "${voicemail_email}" in line]
        assert named == ["Bcc: ${voicemail_email}"]


def test_each_setting_has_its_profile():
    assert parse_profiles()["beep-true"]["tone-spec"] != parse_profiles()["beep-false"]["tone-spec"]
    assert parse_profiles()["time-true"]["play-date-announcement"] == "first"
    assert parse_profiles()["time-false"]["play-date-announcement"] == "never"


def find_actions(context):
    (found,) = (
        element for element in parse_sample("mailboxes.xml") if element.get("name") == context
    )
    return found.iter("action")


def expand(text, variables):
    """Put the call's variables into the text, like FreeSWITCH."""
    for name, value in variables.items():
        text = text.replace(f"${{{name}}}", value)
    return text


@pytest.mark.parametrize("on", [True, False])
def test_call_uses_the_profile_of_the_mailbox(freeswitch, mailbox, on):
    mailbox.beep = mailbox.play_timestamp = on
    mailbox.save()
    variables = freeswitch.user(mailbox).variables
    routes = [
        expand(action.get("data"), variables)
        for action in find_actions("incoming")
        if action.get("application") == "transfer"
    ]
    word = "true" if on else "false"
    assert routes == [
        f"leave-beep-{word} XML mailboxes",
        f"listen-time-{word} XML mailboxes",
    ]
    assert {f"beep-{word}", f"time-{word}"} <= set(parse_profiles())
    voicemail = [
        expand(action.get("data"), variables)
        for action in find_actions("mailboxes")
        if action.get("application") == "voicemail"
    ]
    assert voicemail == [f"$1 acme {mailbox.pk}", f"check $1 acme {mailbox.pk}"]


def test_call_to_an_unknown_mailbox_reaches_the_last_extension():
    """The variables are empty if `set_user` has found no mailbox."""
    (context,) = (
        element for element in parse_sample("mailboxes.xml") if element.get("name") == "mailboxes"
    )
    *extensions, last = context
    expressions = [element.find("condition").get("expression") for element in extensions]
    assert expressions == ["^leave-(beep-true|beep-false)$", "^listen-(time-true|time-false)$"]
    assert [element.get("application") for element in last.find("condition")] == [
        "hangup",
        "hangup",
    ]
