"""URL configuration for telephone engines, which have these paths built in."""

from django.urls import path

from mailboxes.engines import asterisk, freeswitch, sounds
from mailboxes.http.sounds import content

urlpatterns = [
    path("asterisk/voicemail/require", asterisk.require, name="asterisk-require"),
    path("asterisk/voicemail/single", asterisk.single, name="asterisk-single"),
    path("asterisk/voicemail/multi", asterisk.multi, name="asterisk-multi"),
    path("asterisk/voicemail/update", asterisk.update, name="asterisk-update"),
    path("freeswitch/directory", freeswitch.directory, name="freeswitch-directory"),
    path("sounds/content/<str:signed>", content, name="sound-content"),
    path("sounds/<str:signed>/<uuid:uuid>.wav", sounds.sound, name="sound"),
]
