"""The reference model of the API is complete."""

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
        if pattern.resolve(
            path.format(mailbox=UNKNOWN, recipient=UNKNOWN, message=UNKNOWN).lstrip("/")
        )
    }
    assert modelled == served
