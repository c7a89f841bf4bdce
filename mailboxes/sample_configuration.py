"""The sample configuration in docs/asterisk and docs/freeswitch, filled in for the reader."""

from django.conf import settings

# The files of each engine, in the order to set them up.
ENGINES = {
    "Asterisk": [
        "res_curl.conf",
        "res_http_media_cache.conf",
        "extconfig.conf",
        "voicemail.conf",
        "extensions.conf",
    ],
    "FreeSWITCH": ["xml_curl.conf.xml", "voicemail.conf.xml", "mailboxes.xml"],
}
HOST = "https://mailboxes.example.com"


def fill_in_samples(host, credential=None, secret=None) -> dict[str, dict[str, str]]:
    """Return the sample files by engine and name, with the host and any credential filled in."""
    return {
        engine: {name: fill_in(engine, name, host, credential, secret) for name in names}
        for engine, names in ENGINES.items()
    }


def fill_in(engine, name, host, credential, secret) -> str:
    text = (settings.BASE_DIR / "docs" / engine.lower() / name).read_text()
    text = text.replace(HOST, host)
    if credential is None:
        return text
    # The credential's name is last, because it may contain the account's placeholder.
    text = text.replace("@acme", f"@{credential.account.name}")
    return text.replace(f"{engine.lower()}:mbx_SECRET", f"{credential.name}:{secret}")
