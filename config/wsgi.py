"""The WSGI application that the production server runs."""

import logging
import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

try:
    django_application = get_wsgi_application()
except ImproperlyConfigured as error:
    sys.exit(str(error))

from django.core.checks import Tags, run_checks
from django.db import connections
from django.db.backends.signals import connection_created

import config.urls  # noqa: F401  every view, once for all workers rather than at a first call
from config.database import bound, keep_up
from mailboxes.bodies import AlwaysUTF8, BufferedBodies

log = logging.getLogger("mailboxes")

os.umask(0o077)  # as manage.py does, for whatever server it is
connection_created.connect(bound)
connection_created.connect(keep_up)

# Before the first call, for whoever starts it with other keys than those that sealed what is there.
for warning in run_checks(tags=[Tags.database], databases=["default"]):
    log.error("%s", warning.msg)
connections.close_all()  # each worker makes its own

# Whoever changes over to new code waits for the second server's.
log.info("Process %s has loaded the service.", os.getpid())

application = AlwaysUTF8(BufferedBodies(django_application))
