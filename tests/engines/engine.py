"""Telephone engines: they POST forms with a credential by Basic authentication."""

from base64 import b64encode
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlencode
from xml.etree import ElementTree

from mailboxes.models import ApiCredential
from tests.service import Answer, InProcess

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def basic_header(name, secret) -> dict:
    """Return the header of RFC 7617."""
    return {"Authorization": f"Basic {b64encode(f'{name}:{secret}'.encode()).decode()}"}


def engine_headers(account=None, name="pbx", **fields) -> dict:
    """Return the header of a new engine credential, for one account or for all."""
    _, secret = ApiCredential.objects.issue(account, name, is_engine=True, **fields)
    return basic_header(name, secret)


class Asterisk(InProcess):
    """Send the forms of res_config_curl, captured from a real Asterisk."""

    def send_form(self, command, body, **headers) -> Answer:
        path = f"/asterisk/voicemail/{command}"
        return self.call("POST", path, body, headers=FORM | headers)

    def single(self, mailbox, context, **headers) -> Answer:
        return self.send_form("single", encode_form(mailbox=mailbox, context=context), **headers)

    def multi(self, context) -> Answer:
        return self.send_form("multi", encode_form(context=context))

    def update(self, mailbox, context, password, **headers) -> Answer:
        """Send Asterisk's own faulty form, without the `&` between context and mailbox."""
        query = f"?&{encode_form(context=context)}{encode_form(mailbox=mailbox)}"
        return self.send_form(f"update{query}", f"&{encode_form(password=password)}", **headers)

    def mailbox(self, mailbox) -> dict:
        """Look the mailbox up, and return its decoded columns."""
        return parse_columns(self.single(mailbox.pk, mailbox.account.name).body)


@dataclass
class User:
    """A mailbox in a FreeSWITCH document: a user of a domain."""

    domain: str
    id: str
    params: dict
    variables: dict


class FreeSWITCH(InProcess):
    """Send the forms of mod_xml_curl, captured from a real FreeSWITCH."""

    def send_form(self, body, **headers) -> Answer:
        agent = {"User-Agent": "freeswitch-xml/1.0"}
        return self.call("POST", "/freeswitch/directory", body, headers=FORM | agent | headers)

    def look_up(self, user, domain, action="voicemail-lookup", key="id", **more) -> Answer:
        fields = {
            "hostname": "vm",
            "section": "directory",
            "tag_name": "domain",
            "key_name": "name",
            "key_value": domain,
            "action": action,
            "key": key,
            "user": user,
            "domain": domain,
            "ip": "127.0.0.1",
        }
        return self.send_form(encode_form(**fields | more))

    def user(self, mailbox, **fields) -> User:
        return parse_user(self.look_up(mailbox.pk, mailbox.account.name, **fields))


def parse_user(answer) -> User:
    """Parse the only user of a document. Raise ValueError if there are none or several."""
    assert answer.status == 200
    document = ElementTree.fromstring(answer.body)
    (domain,) = document.findall("./section[@name='directory']/domain")
    (found,) = domain.findall("./groups/group/users/user")
    values = {
        kind: {
            element.get("name"): element.get("value")
            for element in found.findall(f"./{kind}s/{kind}")
        }
        for kind in ("param", "variable")
    }
    return User(domain.get("name"), found.get("id"), values["param"], values["variable"])


def encode_form(**fields) -> str:
    return urlencode(fields, quote_via=quote, safe="")


def parse_columns(line: bytes) -> dict:
    """Parse a line like Asterisk: split at `&` and `=`, then decode each part."""
    return dict(parse_qsl(line.decode("ascii").rstrip("\n"), keep_blank_values=True))
