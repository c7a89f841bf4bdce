"""The sample configuration: well-formed, and at one with itself and with what the service answers."""

from xml.etree import ElementTree

import pytest

from tests.server import ROOT

SAMPLE = ROOT / "docs/freeswitch"
FILES = sorted(SAMPLE.glob("*.xml"))


def parsed(name):
    return ElementTree.parse(SAMPLE / name).getroot()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_each_file_is_well_formed(path):
    assert ElementTree.parse(path).getroot().tag in ("configuration", "include")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_freeswitch_drops_no_line_of_it(path):
    """It drops what shares a line with a word of its preprocessing, and comments that begin as one."""
    for line in path.read_text().splitlines():
        assert line in ("<include>", "</include>") or "include>" not in line
        assert not any(word in line.lower() for word in ("<?", "x-pre-process", "<!--#", "$${"))


def test_it_asks_for_the_directory_alone_and_checks_the_certificate():
    (binding,) = parsed("xml_curl.conf.xml").iter("binding")
    params = {param.get("name"): param.attrib for param in binding}
    assert params["gateway-url"]["bindings"] == "directory"
    assert params["gateway-url"]["value"].endswith("/freeswitch/directory")
    assert params["enable-cacert-check"]["value"] == "true"
    assert params["enable-ssl-verifyhost"]["value"] == "true"


def profiles():
    return {
        profile.get("name"): {one.get("name"): one.get("value") for one in profile.iter("param")}
        for profile in parsed("voicemail.conf.xml").iter("profile")
    }


def test_every_profile_has_the_same_messages_and_opens_by_the_services_pass_code_alone():
    for params in profiles().values():
        assert params["dbname"] == "voicemail_mailboxes"
        assert params["allow-empty-password-auth"] == "false"
        assert params["change-pass-key"] == "0"


def test_no_recipient_is_told_of_the_others():
    mails = [email.find("headers").text for email in parsed("voicemail.conf.xml").iter("email")]
    assert len(mails) == 2
    for headers in mails:
        named = [line for line in headers.splitlines() if "${voicemail_email}" in line]
        assert named == ["Bcc: ${voicemail_email}"]


def test_there_is_a_profile_for_each_choice():
    assert profiles()["beep-true"]["tone-spec"] != profiles()["beep-false"]["tone-spec"]
    assert profiles()["time-true"]["play-date-announcement"] == "first"
    assert profiles()["time-false"]["play-date-announcement"] == "never"


def actions(context):
    (found,) = (one for one in parsed("mailboxes.xml") if one.get("name") == context)
    return found.iter("action")


def expanded(text, variables):
    """As FreeSWITCH puts the call's variables in their places."""
    for name, value in variables.items():
        text = text.replace(f"${{{name}}}", value)
    return text


@pytest.mark.parametrize("on", [True, False])
def test_a_call_takes_the_profile_that_the_mailbox_asks_for(freeswitch, mailbox, on):
    mailbox.beep = mailbox.play_timestamp = on
    mailbox.save()
    variables = freeswitch.user(mailbox).variables
    routes = [
        expanded(action.get("data"), variables)
        for action in actions("incoming")
        if action.get("application") == "transfer"
    ]
    word = "true" if on else "false"
    assert routes == [
        f"leave-beep-{word} XML mailboxes",
        f"listen-time-{word} XML mailboxes",
    ]
    assert {f"beep-{word}", f"time-{word}"} <= set(profiles())
    voicemail = [
        expanded(action.get("data"), variables)
        for action in actions("mailboxes")
        if action.get("application") == "voicemail"
    ]
    assert voicemail == [f"$1 acme {mailbox.pk}", f"check $1 acme {mailbox.pk}"]


def test_a_call_to_no_mailbox_meets_no_extension_but_the_last():
    """Where set_user has found none, its variables are empty."""
    (context,) = (one for one in parsed("mailboxes.xml") if one.get("name") == "mailboxes")
    *extensions, last = context
    expressions = [one.find("condition").get("expression") for one in extensions]
    assert expressions == ["^leave-(beep-true|beep-false)$", "^listen-(time-true|time-false)$"]
    assert [one.get("application") for one in last.find("condition")] == ["hangup", "hangup"]
