"""Error reports to Sentry: stack traces and request ids, without data from clients."""

import sentry_sdk
from sentry_sdk.integrations.atexit import AtexitIntegration
from sentry_sdk.integrations.excepthook import ExcepthookIntegration
from sentry_sdk.integrations.logging import EventHandler

from mailboxes.monitoring.logs import request_id

REPORTED_KEYS = (
    "event_id timestamp platform level logger release environment server_name sdk".split()
)


def create_handler(dsn) -> EventHandler:
    """Return a log handler that reports errors, and report exceptions that end a command."""
    sentry_sdk.init(
        dsn,
        # The default ones collect data of requests and queries.
        default_integrations=False,
        auto_enabling_integrations=False,
        integrations=[ExcepthookIntegration(), AtexitIntegration(callback=flush_silently)],
        include_local_variables=False,
        send_default_pii=False,
        max_request_body_size="never",
        max_breadcrumbs=0,
        auto_session_tracking=False,
        send_client_reports=False,
        transport_queue_size=30,  # reports; more are dropped
        before_send=remove_data,
    )
    return EventHandler()


def remove_data(event, hint):
    """Remove what may be data from a report; the log has the message, with the request id."""
    report = {name: event[name] for name in REPORTED_KEYS if name in event}
    report["tags"] = {"request_id": request_id.get()}
    if "exception" in event:
        report["exception"] = {
            "values": [remove_message(error) for error in event["exception"]["values"]]
        }
    else:
        report["logentry"] = {"message": event["logentry"]["message"]}  # without its arguments
    return report


def remove_message(error) -> dict:
    return {name: error.get(name) for name in ("module", "type", "stacktrace")}


def flush_silently(pending, timeout):
    """Do nothing at exit: Sentry's own callback prints into the command's output."""
