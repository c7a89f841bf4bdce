"""The sample configuration of telephone engines, filled in for who reads it: docs/asterisk, docs/freeswitch."""

from django.conf import settings

# Each with its files, in the order in which one fills them in.
ENGINES = {
    "Asterisk": ["res_curl.conf", "extconfig.conf", "voicemail.conf", "extensions.conf"],
    "FreeSWITCH": ["xml_curl.conf.xml", "voicemail.conf.xml", "mailboxes.xml"],
}
HOST = "https://mailboxes.example.com"


def filled_in(host, credential=None, secret=None) -> dict[str, dict[str, str]]:
    """By engine and name, the texts for this host; and for this credential of an account, if there is one."""
    return {
        engine: {name: fill(read(engine, name), engine, host, credential, secret) for name in names}
        for engine, names in ENGINES.items()
    }


def read(engine, name) -> str:
    return (settings.BASE_DIR / "docs" / engine.lower() / name).read_text()


def fill(text, engine, host, credential, secret) -> str:
    text = text.replace(HOST, host)
    if credential is None:
        return text
    # The name comes last: it may hold what stands for the account.
    text = text.replace("@acme", f"@{credential.account.name}")
    return text.replace(f"{engine.lower()}:mbx_SECRET", f"{credential.name}:{secret}")
