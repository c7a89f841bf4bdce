"""The lookups of mod_xml_curl: `POST /freeswitch/directory`.

The body is `action=…&key=…&user=BOX&domain=DOMAIN`.
"""

import string
import subprocess
from uuid import UUID
from xml.etree import ElementTree

import pytest

from mailboxes.models import Account, EmailRecipient, Mailbox
from tests.engines.engine import FreeSWITCH, engine_headers, parse_user
from tests.service import shows

IN_AN_ADDRESS = ["a=b", "100%", "%26vm-password%3D0000", "ann+sales", "o-brien.co_1"]
NOT_IN_AN_ADDRESS = [
    "&vm-password=0000",
    "x`id`",
    "x|id",
    "x;id",
    "x&id",
    "x$(id)",
    "x>y",
    "x<y",
    "x\\",
    "o'brien",
    "#x",
    "~root",
    "{x,y}",
    "x*",
    "x?",
    "!x",
    "x\ny",
    "x\r\ny",
    "\"quotes' and `ticks`",
    "]]>",
    '"/><param name="vm-password" value="0000"/>',
    "<!--#include ../vars.xml-->",
    "<?xml?>",
    "&#0;&xxe;",
    "\N{TELEPHONE RECEIVER} \U0001f4de Ünï",
    "$${default_password}${SHELL(id)}",
    "\x00",
    "\x0b\x1b\x7f\ufffe",
]
HOSTILE = IN_AN_ADDRESS + NOT_IN_AN_ADDRESS
NOT_FOUND = (
    b'<document type="freeswitch/xml"><section name="result"><result status="not found" />'
    b"</section></document>"
)


def is_not_found(answer):
    return (answer.status, answer.body) == (200, NOT_FOUND)


def test_mailbox_is_a_user(freeswitch, mailbox):
    """The document is one line without an XML declaration, as tried with a real FreeSWITCH."""
    answer = freeswitch.look_up(mailbox.pk, "acme")
    assert (answer.status, answer.headers["content-type"]) == (200, "text/xml; charset=utf-8")
    password = parse_user(answer).params["password"]
    assert answer.body.decode() == (
        '<document type="freeswitch/xml"><section name="directory"><domain name="acme"><groups>'
        f'<group name="default"><users><user id="{mailbox.pk}"><params>'
        f'<param name="password" value="{password}" />'
        '<param name="vm-mailto" value="ann@acme.example,bob@acme.example" />'
        '<param name="vm-email-all-messages" value="true" />'
        '<param name="vm-attach-file" value="true" />'
        '<param name="vm-keep-local-after-email" value="true" />'
        '<param name="vm-password" value="4829" />'
        "</params><variables>"
        f'<variable name="mailbox_uuid" value="{mailbox.pk}" />'
        '<variable name="mailbox_account" value="acme" />'
        '<variable name="mailbox_beep" value="true" />'
        '<variable name="mailbox_play_timestamp" value="false" />'
        '<variable name="mailbox_transcribe" value="false" />'
        '<variable name="vm_announce_cid" value="false" />'
        "</variables></user></users></group></groups></domain></section></document>"
    )


@pytest.mark.parametrize("key", ["id", "number-alias"])
@pytest.mark.parametrize("action", ["voicemail-lookup", "message-count"])
def test_mailbox_is_found_by_each_key_and_action(freeswitch, mailbox, action, key):
    found = freeswitch.user(mailbox, action=action, key=key)
    assert (found.domain, found.id) == ("acme", str(mailbox.pk))


def test_lookup_without_an_action_has_no_pass_code(freeswitch, mailbox):
    """`set_user` sends no action; it makes variables of the call from the settings."""
    body = f"section=directory&key=id&user={mailbox.pk}&domain=acme"
    found = parse_user(freeswitch.send_form(body))
    assert found.variables["mailbox_uuid"] == str(mailbox.pk)
    assert "vm-password" not in found.params


@pytest.mark.parametrize("action", ["message-count", "sip_auth", "user_call", "", "VOICEMAIL"])
def test_pass_code_is_only_in_the_voicemail_lookup(freeswitch, mailbox, action):
    assert "vm-password" not in freeswitch.user(mailbox, action=action).params


def test_telephone_cannot_register_as_a_mailbox(freeswitch, mailbox):
    """FreeSWITCH accepts any password if there is none, so each lookup gets a random one."""
    passwords = {freeswitch.user(mailbox, action="sip_auth").params["password"] for _ in range(3)}
    assert len(passwords) == 3
    assert min(map(len, passwords)) >= 43


def test_pass_code_changed_by_telephone_is_refused(freeswitch, mailbox, caplog):
    """FreeSWITCH would store a second pass code of its own, valid next to the service's."""
    caplog.set_level("DEBUG")
    change = {"VM-Action": "change-password", "VM-User-Password": "2468", "VM-Domain": "acme"}
    answer = freeswitch.look_up(mailbox.pk, "acme", action="", **change)
    (result,) = ElementTree.fromstring(answer.body).findall(".//user/result")
    assert result.get("success") == "false"
    assert Mailbox.objects.get().password == "4829"
    assert not shows(caplog.text, "2468")


def test_any_other_lookup_has_no_result(freeswitch, mailbox):
    answer = freeswitch.look_up(mailbox.pk, "acme", **{"VM-Action": "authentication"})
    assert b"result" not in answer.body


@pytest.mark.parametrize(
    ("setting", "variable"),
    [
        ("beep", "mailbox_beep"),
        ("play_timestamp", "mailbox_play_timestamp"),
        ("transcribe", "mailbox_transcribe"),
        ("play_caller_id", "vm_announce_cid"),
    ],
)
@pytest.mark.parametrize(("value", "word"), [(True, "true"), (False, "false")])
def test_each_switch_is_a_variable(freeswitch, mailbox, setting, variable, value, word):
    setattr(mailbox, setting, value)
    mailbox.save()
    assert freeswitch.user(mailbox).variables[variable] == word


def test_missing_pass_code_cannot_be_dialled(freeswitch, mailbox):
    """FreeSWITCH requires no pass code if it is empty or `user-choose`."""
    mailbox.password = None
    mailbox.save()
    assert freeswitch.user(mailbox).params["vm-password"] == "none"


def test_pass_code_that_no_key_decrypts_cannot_be_dialled(freeswitch, mailbox, caplog):
    Mailbox.objects.update(password_sealed="0badf00d:AAAA")
    assert freeswitch.user(mailbox).params["vm-password"] == "none"
    assert f"{mailbox.pk}: A pass code cannot be decrypted" in caplog.text


def test_mailbox_without_recipients_sends_no_mail(freeswitch, mailbox):
    mailbox.email_recipients.all().delete()
    found = freeswitch.user(mailbox).params
    assert (found["vm-mailto"], found["vm-email-all-messages"]) == ("", "false")


@pytest.mark.parametrize("text", IN_AN_ADDRESS)
def test_unusual_address_is_included(freeswitch, mailbox, text):
    address = f"{text}@acme.example"
    mailbox.add_recipient(address)
    mailto = freeswitch.user(mailbox).params["vm-mailto"]
    assert mailto == f"ann@acme.example,bob@acme.example,{address}"


@pytest.mark.parametrize(
    "address",
    [
        '"a,mallory@evil.example,b"@acme.example',
        "-X/var/www/x.php@evil.example",
        "$${default_password}@evil.example",
        "X-pre-Process@evil.example",
        "x@[192.0.2.1]",
        "x@evil.example;id",
        "x@evil.example\n",
        '"a b"@acme.example',
        *(f"{text}@evil.example" for text in NOT_IN_AN_ADDRESS),
    ],
)
def test_address_that_freeswitch_would_misread_is_left_out(freeswitch, mailbox, address):
    """The validators already refuse some of these; the document must not rely on it."""
    EmailRecipient.objects.filter(email="bob@acme.example").update(email=without_nul(address))
    answer = freeswitch.look_up(mailbox.pk, "acme")
    found = parse_user(answer).params
    assert found["vm-mailto"] == "ann@acme.example"
    assert found["vm-password"] == "4829"
    assert answer.body.count(b"\n") == 0


def test_shell_reads_every_address_unchanged(freeswitch, mailbox):
    bob = EmailRecipient.objects.filter(pk=mailbox.email_recipients.latest("created_at").pk)
    for character in [*string.printable, "\x01", "\x7f", "é", "\u2028"]:
        for address in (f"{character}b@acme.example", f"a{character}b@acme.example"):
            bob.update(email=address)
            mailto = freeswitch.user(mailbox).params["vm-mailto"]
            done = subprocess.run(f"printf '<%s>' {mailto}", shell=True, capture_output=True)
            assert done.stdout.decode() == f"<{mailto}>"


def without_nul(text):
    """Replace NUL, which PostgreSQL cannot store."""
    return text.replace("\x00", "\x01")


@pytest.mark.parametrize("name", HOSTILE)
def test_name_does_not_change_the_document(freeswitch, mailbox, name):
    before = freeswitch.user(mailbox)
    Mailbox.objects.update(name=without_nul(name))
    found = freeswitch.user(mailbox)
    del before.params["password"], found.params["password"]
    assert found == before


@pytest.mark.parametrize(
    "domain", ["stranger", "Acme", "192.0.2.1", "", "ac\x00me", "acme'--", *HOSTILE]
)
def test_mailbox_is_not_found_in_another_domain(freeswitch, mailbox, stranger, domain):
    assert is_not_found(freeswitch.look_up(mailbox.pk, domain))


@pytest.mark.parametrize("box", [UUID(int=1), "1000", "", "{0}", "%s", *HOSTILE])
@pytest.mark.parametrize("key", ["id", "number-alias"])
def test_unknown_mailbox_is_not_found(freeswitch, mailbox, box, key):
    assert is_not_found(freeswitch.look_up(box, "acme", key=key))


@pytest.mark.parametrize("field", ["section", "key", "action", "hostname", "tag_name", "ip"])
@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_field_gets_a_well_formed_document(freeswitch, mailbox, field, text):
    answer = freeswitch.look_up(mailbox.pk, "acme", **{field: text})
    if field in ("section", "key"):
        assert is_not_found(answer)
    else:
        assert parse_user(answer).id == str(mailbox.pk)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "section=directory",
        "section=directory&tag_name=domain&key_name=name&key_value=acme&purpose=network-list",
        "section=dialplan&tag_name=&key_name=&key_value=&Caller-Destination-Number=2001",
        "section=configuration&tag_name=configuration&key_name=name&key_value=voicemail.conf",
        "section=directory&key=id&user=%ed%a0%80&domain=acme",
        "%ff%fe=%00",
        "=&=",
    ],
)
def test_form_without_a_mailbox_is_not_found(freeswitch, mailbox, body):
    assert is_not_found(freeswitch.send_form(body))


def test_mailbox_without_its_domain_is_not_found(freeswitch, mailbox):
    assert is_not_found(freeswitch.send_form(f"section=directory&key=id&user={mailbox.pk}"))


def test_deleted_mailbox_is_not_found_until_it_is_restored(freeswitch, mailbox):
    mailbox.soft_delete()
    assert is_not_found(freeswitch.look_up(mailbox.pk, "acme"))
    mailbox.restore()
    assert freeswitch.user(mailbox).id == str(mailbox.pk)


def test_mailbox_of_a_suspended_account_is_not_found(mailbox, account):
    freeswitch = FreeSWITCH(engine_headers())
    account.suspend()
    assert is_not_found(freeswitch.look_up(mailbox.pk, "acme"))
    account.reactivate()
    assert freeswitch.user(mailbox).id == str(mailbox.pk)


def test_engine_finds_mailboxes_of_its_customers_only(account, mailbox, stranger):
    customer = Account.objects.create(name="customer", reseller=account)
    theirs = Mailbox.objects.create(account=customer, name="Theirs")
    assert FreeSWITCH(engine_headers(account)).user(theirs).domain == "customer"
    for other in (customer, stranger):
        freeswitch = FreeSWITCH(engine_headers(other))
        assert is_not_found(freeswitch.look_up(mailbox.pk, "acme"))


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic cGJ4OngK"}])
def test_call_without_a_credential_is_401_with_an_empty_body(mailbox, headers):
    answer = FreeSWITCH(headers).look_up(mailbox.pk, "acme")
    assert (answer.status, answer.body) == (401, b"")


@pytest.mark.parametrize("of_account", [True, False])
def test_lookup_costs_one_query_for_the_mailbox_and_one_for_the_credential(
    account, mailbox, django_assert_num_queries, of_account
):
    freeswitch = FreeSWITCH(engine_headers(account if of_account else None))
    freeswitch.user(mailbox)  # the first use in a minute is recorded
    with django_assert_num_queries(2):
        freeswitch.user(mailbox)
