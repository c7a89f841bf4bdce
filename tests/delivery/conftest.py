"""Fixtures of the tests of tasks, and receivers of webhooks that the service may reach."""

from ipaddress import ip_network

import pytest

from tests.delivery.receiver import Receiver


@pytest.fixture
def path(tmp_path):
    """The file that the tasks of tests write to."""
    return str(tmp_path / "lines")


@pytest.fixture
def reachable(settings):
    """Let webhooks reach this machine, without HTTPS."""
    settings.HTTPS = False
    settings.WEBHOOK_NETWORKS = [ip_network("127.0.0.0/8")]


@pytest.fixture
def receiver(reachable):
    with Receiver() as running:
        yield running
