"""The WSGI application that the production server runs."""

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

try:
    django_application = get_wsgi_application()
except ImproperlyConfigured as error:
    sys.exit(str(error))

from mailboxes.bodies import AlwaysUTF8, BufferedBodies

application = AlwaysUTF8(BufferedBodies(django_application))
