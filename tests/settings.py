"""The service's settings, with temporary keys and a test database.

DATABASE_URL runs the tests on PostgreSQL; without it they run on SQLite.
"""

import base64
import os
import secrets
import sys
import tempfile
from pathlib import Path

# A file, because real servers use the same database.
TEST_DATABASE = Path(tempfile.gettempdir()) / f"mailboxes-test-{os.getpid()}.sqlite3"

# Removed when the tests have ended.
RECORDINGS = tempfile.TemporaryDirectory(prefix="mailboxes-test-recordings-")

os.environ |= {
    "ENV_FILE": os.devnull,
    "SECRET_KEY": secrets.token_urlsafe(50),
    "PASS_CODE_KEYS": base64.b64encode(secrets.token_bytes(32)).decode(),
    "ALLOWED_HOSTS": "localhost,127.0.0.1",
    "DATABASE_REPLICA_URL": "",
    "DEBUG": "off",
    "EMAIL_URL": "",
    "HTTPS": "off",
    "MAIL_FROM": "Voicemail <voicemail@example.com>",
    "PASS_CODE_POLICY": "warn",
    "RECORDINGS_DIR": RECORDINGS.name,
    "SOUNDS_DIR": "",
    "SOUNDS_URL": "",
    "RATE_LIMIT": "1000000/second",  # tests call faster than real clients
    "TRANSCRIBER": "",
    "TRUSTED_PROXIES": "",
}
# Each process of the tests, and each that they start, would compile every module again.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

os.environ.setdefault("DATABASE_URL", f"sqlite:///{TEST_DATABASE}")

from config.settings import *  # noqa: E402, F403
from config.settings import DATABASES, STORAGES  # noqa: E402

if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["TEST"] = {"NAME": TEST_DATABASE}
    # The writes of tests need not survive a power cut; real servers keep synchronous=FULL.
    DATABASES["default"]["OPTIONS"]["init_command"] = (
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"
    )

# Tests run without collectstatic, which the manifest would need.
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
WHITENOISE_AUTOREFRESH = True
