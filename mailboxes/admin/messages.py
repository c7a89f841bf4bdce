"""Messages in the admin, read-only: the console changes, plays and shows them."""

from django.contrib import admin
from django.db.models import Q

from mailboxes.admin.base import ReadOnly, YesNoFilter
from mailboxes.admin.mailboxes import State
from mailboxes.models import Message


class IsHeard(YesNoFilter):
    title = parameter_name = "heard"
    condition = Q(heard_at__isnull=False)


@admin.register(Message)
class MessageAdmin(ReadOnly):
    """Without recordings and transcriptions: the admin would not write down who gets them."""

    fields = [
        "uuid",
        "mailbox",
        "caller_id_name",
        "caller_id_number",
        "call_id",
        "received_at",
        "stored_at",
        "duration",
        "size",
        "transcription_status",
        "heard_at",
        "heard_by",
        "deleted_at",
        "deleted_by",
        "version",
    ]
    list_display = [
        "received_at",
        "mailbox",
        "caller_id_name",
        "caller_id_number",
        "length",
        "heard_at",
        "deleted_at",
    ]
    list_filter = [State, IsHeard]
    list_select_related = ["mailbox"]
    search_fields = ["caller_id_name", "caller_id_number", "mailbox__name", "uuid"]
