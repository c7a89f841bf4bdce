"""Metrics for Prometheus. Labels never contain text from a client."""

import os
import time
from http import HTTPStatus
from ipaddress import ip_address
from pathlib import Path

from django.conf import settings
from django.contrib.auth.signals import user_login_failed
from django.db import DatabaseError
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
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

from mailboxes import contract
from mailboxes.monitoring.request_log import START_KEY
from mailboxes.monitoring.tasks import count_failed, count_workers, measure_lag

if folder := os.environ.get("PROMETHEUS_MULTIPROC_DIR"):  # set by `manage.py serve`
    Path(folder).mkdir(parents=True, exist_ok=True)

PATH = "/metrics"
METHODS = {method.upper() for method in View.http_method_names}

OWN_REGISTRY = CollectorRegistry()  # of this process
REQUESTS = Counter(
    "mailboxes_http_requests",
    "Requests answered, by the view's name, method and status.",
    ["view", "method", "status"],
    registry=OWN_REGISTRY,
)
SECONDS = Histogram(
    "mailboxes_http_request_duration_seconds",
    "How long it took to answer, by the view's name and method.",
    ["view", "method"],
    buckets=[0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    registry=OWN_REGISTRY,
)
SIGN_INS_REFUSED = Counter(
    "mailboxes_sign_ins_refused",
    "Staff sign-ins refused: a wrong password, or locked out.",
    registry=OWN_REGISTRY,
)


class TaskFigures(Collector):
    """Reads figures of tasks from the database for each answer; none while it is down."""

    def collect(self):
        try:
            lag, failed, workers = measure_lag(), count_failed(), count_workers()
        except DatabaseError:
            return
        for name, text, value in (
            ("waiting", "Tasks that are due, and that no task worker has taken yet.", lag.waiting),
            ("lag_seconds", "How long the oldest of these has been due.", lag.seconds),
            ("failed", "Tasks that failed for good, for 30 days or until tried again.", failed),
            ("workers", "Task workers that run.", workers),
        ):
            yield GaugeMetricFamily(f"mailboxes_tasks_{name}", text, value)


TASKS = CollectorRegistry()
TASKS.register(TaskFigures())


class Metrics:
    """Middleware that counts requests, except health probes, and answers /metrics.

    For clients outside METRICS_NETWORKS, /metrics is an unknown path.
    """

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        if request.path_info == PATH and can_read_metrics(request.META["REMOTE_ADDR"]):
            metrics = generate_latest(get_registry()) + generate_latest(TASKS)
            return HttpResponse(metrics, content_type=CONTENT_TYPE_LATEST)
        if contract.is_health_path(request.path_info):
            return self.get_response(request)
        start = request.META.get(START_KEY) or time.perf_counter()
        response = self.get_response(request)
        if response.status_code == HTTPStatus.CONTINUE:  # the body is still to come
            return response
        match = request.resolver_match
        view = match.view_name if match else "none"
        method = request.method if request.method in METHODS else "other"
        count_request(view, method, response.status_code, time.perf_counter() - start)
        return response


def count_request(view: str, method: str, status: int, seconds: float) -> None:
    REQUESTS.labels(view, method, status).inc()
    SECONDS.labels(view, method).observe(seconds)


def can_read_metrics(address: str) -> bool:
    return bool(address) and any(
        ip_address(address) in network for network in settings.METRICS_NETWORKS
    )


def get_registry() -> CollectorRegistry:
    """Return Prometheus' registry of all processes of this server, also of ended ones."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return OWN_REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)
    return registry


@receiver(user_login_failed)
def count_refused_sign_in(**kwargs):
    SIGN_INS_REFUSED.inc()
