"""Refusals that name the missing permission."""

from django.apps import apps
from django.core.exceptions import PermissionDenied
from django.utils.translation import gettext_lazy as _

REFUSALS = {
    "view": _("You may not see %(rows)s"),
    "add": _("You may not create %(rows)s"),
    "change": _("You may not change %(rows)s"),
    "delete": _("You may not delete %(rows)s"),
    "listen_to": _("You may not listen to or read %(rows)s"),
}

# Django's names are "users" and "Task Results".
NAMES = {
    "dbtaskresult": _("failed tasks"),
    "message": _("messages"),
    "user": _("logins of staff"),
}


def require_permissions(user, permissions) -> None:
    """Raise PermissionDenied, with a text for the page, if the user lacks one of them."""
    for permission in permissions:
        if not user.has_perm(permission):
            app, _dot, codename = permission.partition(".")
            verb, _line, model = codename.rpartition("_")
            rows = NAMES.get(model) or apps.get_model(app, model)._meta.verbose_name_plural
            raise PermissionDenied(REFUSALS[verb] % {"rows": rows})
