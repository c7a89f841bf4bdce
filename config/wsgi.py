"""WSGI application."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

try:
    django_application = get_wsgi_application()
except ImproperlyConfigured as error:
    sys.exit(str(error))

from django.db.backends.signals import connection_created

import config.urls  # noqa: F401  loads every view before the first call
from mailboxes.api.fastpath import FastPath
from mailboxes.db.connections import retry_stale_plans, set_timeouts
from mailboxes.http.bodies import AlwaysUTF8

connection_created.connect(set_timeouts)
connection_created.connect(retry_stale_plans)

application = AlwaysUTF8(FastPath(django_application))
