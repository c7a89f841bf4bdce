"""The permission to upload a file, checked before the file is read."""

from http import HTTPStatus

from django.http import HttpResponse

from mailboxes.console.views.imports import may_import
from mailboxes.http.bodies import BODY_UNREAD


class UploadPermission:
    """Middleware that answers an upload whose body is unread.

    The answer is 100 (Continue) to staff who may import. Others get the answer of the import's page.
    """

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        if BODY_UNREAD in request.META:
            return accept_upload(request)
        return self.get_response(request)


@may_import
def accept_upload(request):
    return HttpResponse(status=HTTPStatus.CONTINUE)
