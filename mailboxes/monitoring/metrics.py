"""Figures for Prometheus at /metrics, counted over all worker processes. No label holds what a caller sent."""

import os
import time
from ipaddress import ip_address

from django.conf import settings
from django.contrib.auth.signals import user_login_failed
from django.dispatch import receiver
from django.http import HttpResponse
from django.views import View
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

from mailboxes import contract
from mailboxes.monitoring.request_log import START_KEY

PATH = "/metrics"
METHODS = {method.upper() for method in View.http_method_names}

OWN = CollectorRegistry()  # what this process has counted
REQUESTS = Counter(
    "mailboxes_http_requests",
    "Requests answered, by the view's name, method and status.",
    ["view", "method", "status"],
    registry=OWN,
)
SECONDS = Histogram(
    "mailboxes_http_request_duration_seconds",
    "How long it took to answer, by the view's name and method.",
    ["view", "method"],
    buckets=[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registry=OWN,
)
SIGN_INS_REFUSED = Counter(
    "mailboxes_sign_ins_refused",
    "Staff sign-ins refused: a wrong password, or locked out.",
    registry=OWN,
)


class Metrics:
    """Counts each request but the probes', and answers /metrics to callers from METRICS_NETWORKS; to others it is a page that is not there."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        if request.path_info == PATH and may_read(request.META["REMOTE_ADDR"]):
            return HttpResponse(generate_latest(everywhere()), content_type=CONTENT_TYPE_LATEST)
        if contract.is_health_path(request.path_info):
            return self.get_response(request)
        start = request.META.get(START_KEY) or time.perf_counter()
        response = self.get_response(request)
        match = request.resolver_match
        view = match.view_name if match else "none"
        method = request.method if request.method in METHODS else "other"
        count(view, method, response.status_code, time.perf_counter() - start)
        return response


def count(view: str, method: str, status: int, seconds: float) -> None:
    """Count an answer."""
    REQUESTS.labels(view, method, status).inc()
    SECONDS.labels(view, method).observe(seconds)


def may_read(address: str) -> bool:
    """Whether the networks named have this address; empty where nobody knows who calls."""
    return bool(address) and any(
        ip_address(address) in network for network in settings.METRICS_NETWORKS
    )


def everywhere() -> CollectorRegistry:
    """What all processes of the server have counted, those that have ended too; this one where it is alone."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return OWN
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return registry


@receiver(user_login_failed)
def count_refused_sign_in(**kwargs):
    SIGN_INS_REFUSED.inc()
