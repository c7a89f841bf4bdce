"""Sounds in the admin, read-only: the console changes and plays them."""

from django.contrib import admin
from django.db.models import Q

from mailboxes.admin.base import ReadOnly, YesNoFilter
from mailboxes.admin.mailboxes import State
from mailboxes.models import Sound


class IsShared(YesNoFilter):
    title = parameter_name = "shared"
    condition = Q(shared=True)


@admin.register(Sound)
class SoundAdmin(ReadOnly):
    fields = [
        "uuid",
        "account",
        "name",
        "tag",
        "shared",
        "file_name",
        "audio_type",
        "text",
        "voice",
        "length",
        "created_at",
        "updated_at",
        "deleted_at",
        "version",
    ]
    list_display = ["name", "account", "length", "tag", "shared", "created_at", "deleted_at"]
    list_filter = [State, IsShared]
    list_select_related = ["account", "audio"]
    search_fields = ["name", "tag", "file_name", "account__name", "uuid"]

    @admin.display(description="length")
    def length(self, sound):
        return sound.audio.length
