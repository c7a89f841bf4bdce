"""The setting LOGGING: loggers, formats, and what Sentry gets."""


def build_logging(log_format: str, sentry_dsn: str) -> dict:
    logging: dict = {
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
                "formatter": log_format,
            }
        },
        "root": {"handlers": ["stdout"], "level": "INFO"},
        "loggers": {
            # Without Django's handlers, which would mail the administrators and repeat each line.
            "django": {"handlers": [], "propagate": True},
            # RequestLog writes a line for each request, so only stack traces are added to it.
            "django.request": {"level": "ERROR", "filters": ["crashes"]},
            "django.security": {"level": "CRITICAL"},
            "django.server": {"handlers": [], "level": "ERROR", "propagate": True},
            "axes": {"level": "WARNING"},
            "httpx": {"level": "WARNING"},
            # Hide the warnings about a dead connection that follow the exception.
            "psycopg": {"level": "ERROR"},
        },
    }
    if sentry_dsn:
        logging["handlers"]["sentry"] = {
            "()": "mailboxes.monitoring.sentry.create_handler",
            "dsn": sentry_dsn,
            "level": "ERROR",
        }
        logging["root"]["handlers"].append("sentry")
    return logging
