"""Parsers of environment values."""

import os
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

BASE_DIR = Path(__file__).resolve().parent.parent


class Environment(environ.Env):
    """The environment and the `.env` file. Child processes do not inherit the file's values: they read it anew."""

    ENVIRON = os.environ.copy()


env = Environment()
ENV_FILE = Path(os.environ.get("ENV_FILE", BASE_DIR / ".env"))
if ENV_FILE.exists() and not os.access(ENV_FILE, os.R_OK):
    raise ImproperlyConfigured(
        f"{ENV_FILE} is not yours to read: run this as the user who owns it."
    )
Environment.read_env(ENV_FILE)


DATABASE_SCHEMES = {"postgres", "postgresql", "sqlite"}
SWITCH = {"on": True, "true": True, "1": True, "off": False, "false": False, "0": False}

refusals: list[str] = []


def read_setting(name, parse, default, sentence):
    """The parsed value of an environment variable; if it is wrong, note the sentence and go on."""
    try:
        return parse(env.str(name, default))
    except (KeyError, ValueError):
        refusals.append(f"{name} {sentence}")
        return None


def raise_refusals():
    """Raise ImproperlyConfigured if a value was refused. Django may import the settings again."""
    if refusals:
        sentences = "\n".join(refusals)
        refusals.clear()
        raise ImproperlyConfigured(sentences)


def switch(text):
    """True for on, False for off. Raises KeyError: a word that is neither must not mean off."""
    return SWITCH[text.lower()]


def database(url):
    """Django's settings of the database that the URL names. Raises ValueError if it is none of ours."""
    if url.partition(":")[0] not in DATABASE_SCHEMES:
        raise ValueError
    settings = env.db_url_config(url)
    if not settings["NAME"]:
        raise ValueError
    return settings


def postgresql(url):
    """Django's settings of the PostgreSQL that the URL names. Raises ValueError."""
    if url.startswith("sqlite"):
        raise ValueError
    return database(url)


def one_of(*words):
    """A parser that takes these words alone. It raises ValueError."""
    return lambda text: words[words.index(text)]


def whole_number(text):
    """A number, 1 or more. Raises ValueError if it is none, or less than one."""
    if int(text) < 1:
        raise ValueError
    return int(text)


def rate(text):
    """Calls and the seconds they may be made in. Raises ValueError or KeyError."""
    calls, _, period = text.partition("/")
    if int(calls) < 1:
        raise ValueError
    return int(calls), {"second": 1, "minute": 60, "hour": 3600}[period]


def cache(url):
    """Django's settings of the cache. Raises ValueError if the URL names none of ours."""
    if url.partition(":")[0] not in {"redis", "rediss", "locmemcache"}:
        raise ValueError
    return env.cache_url_config(url)


def folder(text):
    """The folder of that path, or None. Raises ValueError if there is no such folder."""
    if text and not Path(text).is_dir():
        raise ValueError
    return Path(text) if text else None


def base_url(text):
    """An address that names are put behind, with a slash at its end, or none. Raises ValueError."""
    # Asterisk would play what stands before and after an ampersand as two files.
    if text and (not text.startswith(("http://", "https://")) or set(text) & set("&?# ")):
        raise ValueError
    return text and text.removesuffix("/") + "/"


def networks(text):
    """The networks named. Raises ValueError where one is none, or is the whole world."""
    named = [ip_network(word) for word in text.replace(",", " ").split()]
    if any(network.prefixlen == 0 for network in named):
        raise ValueError
    return named


def dsn(text):
    """The address of a project at Sentry, or none. Raises ValueError if it is no such address."""
    parts = urlsplit(text)
    is_one = parts.scheme in {"http", "https"} and parts.username and parts.path.strip("/")
    if text and not is_one:
        raise ValueError
    return text
