"""The service's own settings, with keys of the moment and a database of the tests' own.

DATABASE_URL moves the whole suite to PostgreSQL; without it the suite runs on SQLite.
"""

import base64
import os
import secrets
import tempfile
from pathlib import Path

# A file, not memory: the tests start real servers beside them on the same database.
TEST_DATABASE = Path(tempfile.gettempdir()) / f"mailboxes-test-{os.getpid()}.sqlite3"

os.environ |= {
    "ENV_FILE": os.devnull,
    "SECRET_KEY": secrets.token_urlsafe(50),
    "PASS_CODE_KEYS": base64.b64encode(secrets.token_bytes(32)).decode(),
    "ALLOWED_HOSTS": "localhost,127.0.0.1",
    "DATABASE_REPLICA_URL": "",
    "DEBUG": "off",
    "HTTPS": "off",
    "PASS_CODE_POLICY": "warn",
    "SOUNDS_DIR": "",
    "SOUNDS_URL": "",
    "RATE_LIMIT": "1000000/second",  # tests call faster than people's programs do
    "TRUSTED_PROXIES": "",
}
os.environ.setdefault("DATABASE_URL", f"sqlite:///{TEST_DATABASE}")

from config.settings import *  # noqa: E402, F403
from config.settings import DATABASES, STORAGES  # noqa: E402

if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["TEST"] = {"NAME": TEST_DATABASE}
    # What a test writes itself need not outlive the machine; the real servers' FULL is theirs.
    DATABASES["default"]["OPTIONS"]["init_command"] = (
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"
    )

# The manifest wants collectstatic; a test's page is content with the plain addresses.
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
WHITENOISE_AUTOREFRESH = True
