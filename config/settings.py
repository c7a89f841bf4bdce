"""Settings of the mailbox service.

Every value that may differ from one deployment to the next comes from the
environment (or a `.env` file), is read once, here, and is documented in
`.env.example`. A wrong value is refused at start, one sentence each.
"""

from datetime import timedelta
from importlib.util import find_spec
from pathlib import Path

import django
from django.core.exceptions import ImproperlyConfigured

from config.env import (
    BASE_DIR,
    base_url,
    cache,
    database,
    dsn,
    env,
    folder,
    networks,
    one_of,
    postgresql,
    raise_refusals,
    rate,
    read_setting,
    refusals,
    switch,
    whole_number,
)
from mailboxes import contract
from mailboxes.encryption import KeyRing

NO_DATABASE = "is wrong: write it as postgres://user:password@host:5432/name."
NO_NETWORK = "has an entry that is no network of yours: write each as 10.0.0.0/8 or 192.0.2.1."


# --- What a deployment decides ------------------------------------------------

DEBUG = read_setting("DEBUG", switch, "off", "is neither on nor off.")

# Off only where nothing but the machine itself calls, as `make run` does.
HTTPS = read_setting("HTTPS", switch, "on", "is neither on nor off.")

SECRET_KEY = env.str("SECRET_KEY", "")
if not SECRET_KEY:
    refusals.append("SECRET_KEY is missing: set it to 50 or more random characters.")
elif not DEBUG and (len(SECRET_KEY) < 50 or len(set(SECRET_KEY)) < 10):
    refusals.append("SECRET_KEY is weak: set it to 50 or more random characters.")

PASS_CODE_KEYS = read_setting(
    "PASS_CODE_KEYS",
    KeyRing.parse,
    "",
    "is missing or wrong: list one or more keys of 32 random bytes in base64, the one to encrypt with first.",
)

ALLOWED_HOSTS = env.str("ALLOWED_HOSTS", "").replace(",", " ").split()
if not DEBUG and (not ALLOWED_HOSTS or "*" in ALLOWED_HOSTS):
    refusals.append(
        "ALLOWED_HOSTS is empty or has a *: list the host names that this service answers to."
    )

# The proxies whose word about the caller is taken (X-Forwarded-For and
# X-Forwarded-Proto). From anyone else those headers are thrown away.
TRUSTED_PROXIES = read_setting("TRUSTED_PROXIES", networks, "", NO_NETWORK)

# What comes of a new pass code that is easy to guess: it is taken with a warning, or refused.
PASS_CODE_POLICY = read_setting(
    "PASS_CODE_POLICY", one_of("warn", "reject"), "warn", "is neither warn nor reject."
)

# How long a deleted mailbox can be restored, in days.
RETENTION_DAYS = read_setting(
    "RETENTION_DAYS", whole_number, "30", "is no whole number of days, 1 or more."
)

# Where greetings come from, by their uuid: a folder that this service serves, or another service.
SOUNDS_DIR = read_setting("SOUNDS_DIR", folder, "", "is no folder.")
SOUNDS_URL = read_setting(
    "SOUNDS_URL", base_url, "", "is wrong: write it as https://sounds.example.com/files/."
)
if SOUNDS_DIR and SOUNDS_URL:
    refusals.append("SOUNDS_DIR and SOUNDS_URL are both set: greetings come from one of them.")

# Worker processes of the server; without CACHE_URL each enforces its share of the limit.
WORKERS = read_setting("WEB_CONCURRENCY", whole_number, "2", "is no whole number, 1 or more.")

# Seconds in which a request must have arrived: of a program, and of a page, which may bring a file.
REQUEST_TIMEOUT = read_setting(
    "REQUEST_TIMEOUT", whole_number, "60", "is no whole number of seconds, 1 or more."
)
UPLOAD_TIMEOUT = read_setting(
    "UPLOAD_TIMEOUT", whole_number, "600", "is no whole number of seconds, 1 or more."
)

CACHES = {
    "default": read_setting(
        "CACHE_URL", cache, "locmemcache://", "is wrong: write it as redis://host:6379/0."
    )
}
RATE_LIMIT = read_setting(
    "RATE_LIMIT", rate, "6000/minute", "is wrong: write it as 6000/minute (or second, or hour)."
)

# How the lines of the log are written.
LOG_FORMAT = read_setting("LOG_FORMAT", one_of("text", "json"), "text", "is neither text nor json.")

# From where /metrics may be read; from nowhere, and nothing is counted.
METRICS_NETWORKS = read_setting("METRICS_NETWORKS", networks, "", NO_NETWORK)

# The folder in which a server's worker processes count; var/metrics-PORT by default.
METRICS_DIR = env.str("PROMETHEUS_MULTIPROC_DIR", "")

# Where errors are reported to; nowhere by default.
SENTRY_DSN = read_setting(
    "SENTRY_DSN", dsn, "", "is wrong: write it as https://key@host/project, as Sentry shows it."
)

DATABASES = {
    "default": read_setting(
        "DATABASE_URL",
        database,
        f"sqlite:///{BASE_DIR / 'var' / 'mailboxes.sqlite3'}",
        NO_DATABASE,
    )
}

# A streaming replica that reads may go to (mailboxes.db.replica); none by default.
if env.str("DATABASE_REPLICA_URL", ""):
    DATABASES["replica"] = read_setting(
        "DATABASE_REPLICA_URL",
        postgresql,
        "",
        NO_DATABASE,
    )
    if DATABASES["replica"] and env.str("DATABASE_URL", "sqlite").startswith("sqlite"):
        refusals.append("DATABASE_REPLICA_URL is set, but DATABASE_URL names no PostgreSQL.")
    DATABASE_ROUTERS = ["mailboxes.db.replica.Router"]

# Whether PostgreSQL keeps queries prepared, and cursors open: not where PgBouncer hands each
# transaction another connection.
DATABASE_PREPARED = read_setting("DATABASE_PREPARED", switch, "on", "is neither on nor off.")

# How many seconds a call waits for an answer of PostgreSQL. With SQLite, writers queue a minute.
DATABASE_TIMEOUT = read_setting(
    "DATABASE_TIMEOUT", whole_number, "30", "is no whole number of seconds, 1 or more."
)

for name, value, module, package in (
    ("METRICS_NETWORKS", METRICS_NETWORKS, "prometheus_client", "prometheus-client"),
    ("SENTRY_DSN", SENTRY_DSN, "sentry_sdk", "sentry-sdk"),
):
    if value and find_spec(module) is None:
        refusals.append(f"{name} needs a package that is not installed: pip install {package}.")

raise_refusals()

if not env.str("CACHE_URL", ""):
    CACHES["default"]["BACKEND"] = "mailboxes.api.throttling.OwnShare"
    RATE_LIMIT = (-(-RATE_LIMIT[0] // WORKERS), RATE_LIMIT[1])

# --- Database -----------------------------------------------------------------

KEPT_SECONDS = 300  # a connection, from call to call

# Of each PostgreSQL; DATABASE_URL may say otherwise.
POSTGRESQL_OPTIONS = {
    # A host that has lost its power or its network says nothing at all, and a caller must not
    # wait for it as long as TCP does, a quarter of an hour.
    "connect_timeout": 3,  # seconds, of each host
    "tcp_user_timeout": 5000,  # milliseconds until what was sent must have arrived
    # While an answer is waited for: asked after 5 s whether the host is there, and each second.
    "keepalives_idle": 5,
    "keepalives_interval": 1,
    "keepalives_count": 5,
    # Values travel beside the query, not in it: that is what can be prepared.
    "server_side_binding": True,
    "prepare_threshold": 2 if DATABASE_PREPARED else None,  # when it is asked the third time
}

if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    data = Path(DATABASES["default"]["NAME"]).parent
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ImproperlyConfigured(
            f"DATABASE_URL names a file in {data}, which cannot be made: {error.strerror}."
        ) from None
    DATABASES["default"]["OPTIONS"] = {
        # A transaction takes the write lock when it begins, so two writers queue
        # instead of one failing half-way; readers go on beside them (WAL).
        "transaction_mode": "IMMEDIATE",
        "timeout": 60,  # seconds; a long import writes for half of that
        # FULL: what has been answered with 2xx is on disk.
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
    }
    DATABASES["default"]["CONN_MAX_AGE"] = KEPT_SECONDS
else:
    for each in DATABASES.values():
        each["OPTIONS"] = POSTGRESQL_OPTIONS | each.get("OPTIONS", {})
        each["CONN_HEALTH_CHECKS"] = True
        each["CONN_MAX_AGE"] = KEPT_SECONDS
        # A cursor stays with its connection too, from one slice of a long export to the next.
        each["DISABLE_SERVER_SIDE_CURSORS"] = not DATABASE_PREPARED

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Application --------------------------------------------------------------

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.forms",
    "django_htmx",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "simple_history",
    "axes",
    "django_otp",
    "django_otp.plugins.otp_totp",
    "django_otp.plugins.otp_static",
    "mailboxes",
]

# Their headers stand on every answer, so they come before whoever may make one.
ANSWER_MIDDLEWARE = [
    "mailboxes.http.headers.AnswerHeaders",
    "mailboxes.http.headers.ContentSecurityPolicy",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django.middleware.security.SecurityMiddleware",
]
if django.VERSION >= (6, 0):
    ANSWER_MIDDLEWARE[1] = "django.middleware.csp.ContentSecurityPolicyMiddleware"
MIDDLEWARE = [
    "mailboxes.http.proxies.TrustedProxies",  # all below ask who calls, and how
    "mailboxes.monitoring.request_log.RequestLog",
    *ANSWER_MIDDLEWARE,
    "mailboxes.http.bodies.Refusals",
    "mailboxes.monitoring.health.HealthChecks",  # before whoever asks by what host
    "mailboxes.api.calls.ApiCalls",
    "mailboxes.engines.calls.EngineCalls",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "mailboxes.staff.middleware.SecondFactor",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "simple_history.middleware.HistoryRequestMiddleware",
    "axes.middleware.AxesMiddleware",
]
if METRICS_NETWORKS:
    # Behind TrustedProxies, which says who calls; before all that may answer.
    MIDDLEWARE.insert(
        MIDDLEWARE.index("mailboxes.monitoring.request_log.RequestLog"),
        "mailboxes.monitoring.metrics.Metrics",
    )

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

FORM_RENDERER = "django.forms.renderers.TemplatesSetting"  # templates/django/forms is ours

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"  # the contract's dates are UTC's
USE_TZ = True
USE_I18N = True

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "var" / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"},
}

# --- The API ------------------------------------------------------------------

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
    "URL_FORMAT_OVERRIDE": None,  # today's clients send stray parameters, `format` too
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
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "PREPROCESSING_HOOKS": ["mailboxes.api.schema.without_slash"],
    "POSTPROCESSING_HOOKS": ["mailboxes.api.schema.in_envelopes"],
}

# A larger body is 413; files (CSV) are not counted here by Django.
DATA_UPLOAD_MAX_MEMORY_SIZE = contract.MAX_BODY_BYTES

# --- Doors --------------------------------------------------------------------

LOGIN_URL = LOGOUT_REDIRECT_URL = "console:sign-in"
LOGIN_REDIRECT_URL = "console:mailbox-list"

AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",  # refuses who is locked out, and no more
    "django.contrib.auth.backends.ModelBackend",
]

# Five wrong passwords for one username from one address, and both together wait.
AXES_FAILURE_LIMIT = 5
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_RESET_ON_SUCCESS = True
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False  # trying on makes the wait no longer
AXES_CLIENT_IP_CALLABLE = "mailboxes.http.proxies.lockout_address"
AXES_LOCKOUT_CALLABLE = "mailboxes.console.views.sign_in.locked_out"
AXES_SENSITIVE_PARAMETERS = ["username"]  # in the log: some type their password there
AXES_VERBOSE = False  # commands that print JSON print nothing else
AXES_DISABLE_ACCESS_LOG = True  # it would grow for ever

# The second factor: who has set it up gives it (mailboxes.staff.middleware.SecondFactor).
OTP_TOTP_ISSUER = "Mailbox service"
OTP_ADMIN_HIDE_SENSITIVE_DATA = True

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
SESSION_COOKIE_AGE = 12 * 3600  # a working day; then one signs in again
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_SSL_REDIRECT = HTTPS
# A redirect would lose a POST's body, so what programs call is refused, not redirected. Who
# probes for health comes without HTTPS.
SECURE_REDIRECT_EXEMPT = [
    rf"^({contract.API}|{contract.ENGINES})(/|$)",
    rf"^({contract.HEALTH})$",
]
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = HTTPS
if TRUSTED_PROXIES:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SECURE_CSP = {
    "default-src": ["'self'"],
    "img-src": ["'self'", "data:"],  # the admin's own style sheets draw with data: images
    "object-src": ["'none'"],
    "base-uri": ["'none'"],
    "form-action": ["'self'"],
    "frame-ancestors": ["'none'"],
}
# On every answer that does not say otherwise; static files say how long they are kept.
ANSWER_HEADERS = {
    "Cache-Control": "no-store",  # what customers have is in them, pass codes too
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
WHITENOISE_ALLOW_ALL_ORIGINS = False

# --- Logs: standard output, one line a request ------------------------------------

LOGGING: dict = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "text": {"()": "mailboxes.monitoring.logs.TextFormatter"},
        "json": {"()": "mailboxes.monitoring.logs.JSONFormatter"},
    },
    "filters": {
        "crashes": {
            "()": "django.utils.log.CallbackFilter",
            "callback": lambda record: record.exc_info,
        }
    },
    "handlers": {
        "stdout": {
            "class": "mailboxes.monitoring.logs.LineHandler",
            "stream": "ext://sys.stdout",
            "formatter": LOG_FORMAT,
        }
    },
    "root": {"handlers": ["stdout"], "level": "INFO"},
    "loggers": {
        # Django's handlers would mail the administrators and repeat each line.
        "django": {"handlers": [], "propagate": True},
        # A refused request has its line in RequestLog already; a crash brings its stack, once.
        "django.request": {"level": "ERROR", "filters": ["crashes"]},
        "django.security": {"level": "CRITICAL"},
        "django.server": {"handlers": [], "level": "ERROR", "propagate": True},
        "axes": {"level": "WARNING"},
        # What goes wrong besides, on a connection that has died, after what was raised.
        "psycopg": {"level": "ERROR"},
    },
}
if SENTRY_DSN:
    LOGGING["handlers"]["sentry"] = {
        "()": "mailboxes.monitoring.sentry.create_handler",
        "dsn": SENTRY_DSN,
        "level": "ERROR",
    }
    LOGGING["root"]["handlers"].append("sentry")
