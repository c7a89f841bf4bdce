"""Errors, told to Sentry: where in the code it happened, and to which request. Nothing that a caller sent."""

import sentry_sdk
from sentry_sdk.integrations.atexit import AtexitIntegration
from sentry_sdk.integrations.excepthook import ExcepthookIntegration
from sentry_sdk.integrations.logging import EventHandler

from mailboxes.monitoring.logs import request_id

KEPT = "event_id timestamp platform level logger release environment server_name sdk".split()


def handler(dsn) -> EventHandler:
    """A log handler that reports to the project which the DSN names; besides, what ends a command is reported."""
    sentry_sdk.init(
        dsn,
        # None of those that look into requests, queries and calls to others.
        default_integrations=False,
        auto_enabling_integrations=False,
        integrations=[ExcepthookIntegration(), AtexitIntegration(callback=wait_in_silence)],
        include_local_variables=False,
        send_default_pii=False,
        max_request_body_size="never",
        max_breadcrumbs=0,
        auto_session_tracking=False,
        send_client_reports=False,
        transport_queue_size=30,  # that wait to be sent; more are dropped
        before_send=bare,
    )
    return EventHandler()


def bare(event, hint):
    """The event without what may hold data: an error's own words do, so they stay in the log, under the request's id."""
    report = {name: event[name] for name in KEPT if name in event}
    report["tags"] = {"request_id": request_id.get()}
    if "exception" in event:
        report["exception"] = {"values": [where(error) for error in event["exception"]["values"]]}
    else:
        # Before its values are put in.
        report["logentry"] = {"message": event["logentry"]["message"]}
    return report


def where(error) -> dict:
    return {name: error.get(name) for name in ("module", "type", "stacktrace")}


def wait_in_silence(pending, timeout):
    """Sentry's own would print into whatever the command prints."""
