"""A telephone engine, as it calls the service: forms by POST, a credential by Basic authentication."""

from base64 import b64encode
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlencode
from xml.etree import ElementTree

from mailboxes.models import ApiCredential
from tests.service import Answer, InProcess

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def basic(name, secret) -> dict:
    """The header of RFC 7617."""
    return {"Authorization": f"Basic {b64encode(f'{name}:{secret}'.encode()).decode()}"}


def engine_headers(account=None, name="pbx", **fields) -> dict:
    """The header of a new engine credential of the account, or of every account's."""
    _, secret = ApiCredential.objects.issue(account, name, is_engine=True, **fields)
    return basic(name, secret)


class Asterisk(InProcess):
    """Asks as res_config_curl does: the forms are those that the kit has captured."""

    def ask(self, command, body, **headers) -> Answer:
        path = f"/asterisk/voicemail/{command}"
        return self.call("POST", path, body, headers=FORM | headers)

    def single(self, mailbox, context, **headers) -> Answer:
        return self.ask("single", encoded(mailbox=mailbox, context=context), **headers)

    def multi(self, context) -> Answer:
        return self.ask("multi", encoded(context=context))

    def update(self, mailbox, context, password, **headers) -> Answer:
        """In Asterisk's own faulty form: the `&` between context and mailbox is missing."""
        query = f"?&{encoded(context=context)}{encoded(mailbox=mailbox)}"
        return self.ask(f"update{query}", f"&{encoded(password=password)}", **headers)

    def mailbox(self, mailbox) -> dict:
        """The columns of a mailbox that is looked up, decoded."""
        return columns(self.single(mailbox.pk, mailbox.account.name).body)


@dataclass
class User:
    """The mailbox as FreeSWITCH reads it from a document: a user of a domain."""

    domain: str
    id: str
    params: dict
    variables: dict


class FreeSWITCH(InProcess):
    """Asks as mod_xml_curl does: the forms are those that the kit has captured."""

    def ask(self, body, **headers) -> Answer:
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
        return self.ask(encoded(**fields | more))

    def user(self, mailbox, **asked) -> User:
        """The mailbox that is looked up."""
        return user(self.look_up(mailbox.pk, mailbox.account.name, **asked))


def user(answer) -> User:
    """The one user of a document. Raises ValueError where there is another number of them."""
    assert answer.status == 200
    document = ElementTree.fromstring(answer.body)
    (domain,) = document.findall("./section[@name='directory']/domain")
    (found,) = domain.findall("./groups/group/users/user")
    values = {
        kind: {one.get("name"): one.get("value") for one in found.findall(f"./{kind}s/{kind}")}
        for kind in ("param", "variable")
    }
    return User(domain.get("name"), found.get("id"), values["param"], values["variable"])


def encoded(**fields) -> str:
    return urlencode(fields, quote_via=quote, safe="")


def columns(line: bytes) -> dict:
    """What Asterisk reads from a line: it splits at `&` and `=`, then decodes each side."""
    return dict(parse_qsl(line.decode("ascii").rstrip("\n"), keep_blank_values=True))
