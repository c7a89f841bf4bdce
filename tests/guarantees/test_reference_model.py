"""The reference model of the API is complete."""

import re

from mailboxes.api.urls import urlpatterns
from tests.guarantees.reference_model import COMMANDS, UNKNOWN


def test_reference_model_has_every_command():
    served = {
        (method.upper(), pattern.name)
        for pattern in urlpatterns
        for method in getattr(pattern.callback, "actions", {"get": "get"})
        if pattern.callback.cls.schema and method != "head"
    }
    modelled = {
        (method, pattern.name)
        for method, path in COMMANDS.values()
        for pattern in urlpatterns
        if pattern.resolve(re.sub(r"{\w+}", UNKNOWN, path).lstrip("/"))
    }
    assert modelled == served
