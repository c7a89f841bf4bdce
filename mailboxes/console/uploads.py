"""The permission to upload a file, checked before the file is read."""

from http import HTTPStatus

from django.http import HttpResponse
from django.urls import resolve

from mailboxes.console.access import staff_with
from mailboxes.console.views.imports import may_import
from mailboxes.http.bodies import BODY_UNREAD


class UploadPermission:
    """Middleware that answers an upload whose body is unread.

    The answer is 100 (Continue) to staff who may upload. Others get the answer of the form's page.
    """

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        if BODY_UNREAD not in request.META:
            return self.get_response(request)
        page = resolve(request.path_info).view_name
        return ACCEPTING.get(page, self.get_response)(request)


def accept_upload(request):
    return HttpResponse(status=HTTPStatus.CONTINUE)


# By the name of the form's page.
ACCEPTING = {
    "console:import": may_import(accept_upload),
    "console:sound-add": staff_with("mailboxes.add_sound")(accept_upload),
    "console:sound-replace": staff_with("mailboxes.change_sound")(accept_upload),
}
