"""Users, groups and failed sign-ins in the admin."""

from axes.models import AccessFailureLog, AccessLog
from django.contrib import admin

admin.site.unregister([AccessFailureLog, AccessLog])  # django-axes writes nothing to them here
