"""Greetings of an account: add, play, change, replace, delete and restore them."""

import logging
from contextlib import contextmanager
from copy import copy

from django.conf import settings
from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db import transaction
from django.db.models import Count, OuterRef, Subquery
from django.db.models.functions import Coalesce
from django.http import Http404
from django.shortcuts import get_object_or_404, redirect, render, resolve_url
from django.utils.http import content_disposition_header
from django.utils.text import slugify
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from mailboxes.audio.recordings import Greeting
from mailboxes.audio.speech import list_voices
from mailboxes.console.access import add_success, redirect_to_next, staff_with
from mailboxes.console.players import create_sound_player
from mailboxes.console.sound_forms import AudioForm, NewSoundForm, SoundForm
from mailboxes.console.writing import atomic_post, lock_for_update
from mailboxes.contract import MAX_SOUND_SECONDS
from mailboxes.http.sounds import answer_sound
from mailboxes.models import Account, Mailbox, Sound
from mailboxes.models.sounds import NEWEST_FIRST
from mailboxes.sound_history import AudioRemovedError, list_changes, put_back
from mailboxes.staff.resubmission import get_form_uuid
from mailboxes.staff.unsent import fill_in

log = logging.getLogger("mailboxes")

SOUNDS_PER_PAGE = 50
PUT_BACK = ("mailboxes.change_sound", "mailboxes.delete_sound")
USERS_SHOWN = 20  # mailboxes on the page of a sound

form_page = require_http_methods(["GET", "HEAD", "POST"])


@require_safe
@staff_with("mailboxes.view_sound")
def sound_list(request, name):
    """List the greetings of the account, and those that its resellers share with it."""
    account = get_object_or_404(Account, name=name)
    is_deleted = request.GET.get("state") == "deleted"
    sounds = account.sounds.deleted() if is_deleted else Sound.objects.usable_by(account)
    text = request.GET.get("q", "").strip()
    if text:
        try:
            sounds = sounds.search(text)
        except ValidationError as error:
            messages.error(request, error.messages[0])
            sounds = sounds.none()
    sounds = count_users(sounds).select_related("account", "audio").order_by(*NEWEST_FIRST)
    page = Paginator(sounds, SOUNDS_PER_PAGE).get_page(request.GET.get("page"))
    context = {"account": account, "page": page, "text": text, "is_deleted": is_deleted}
    return render(request, "console/sound_list.html", context)


def count_users(sounds):
    """Annotate `user_count`, the number of active mailboxes with this greeting."""
    users = Mailbox.objects.active().filter(greeting=OuterRef("pk")).order_by()
    counts = users.values("greeting").annotate(count=Count("pk")).values("count")
    return sounds.annotate(user_count=Coalesce(Subquery(counts), 0))


@form_page
@staff_with("mailboxes.add_sound")
def sound_add(request, name):
    account = get_object_or_404(Account, name=name)
    form = fill_in(request, NewSoundForm(*get_form_data(request)))
    if form.is_valid() and (greeting := form.decode()):
        with report_failure(form):
            sound = create(request, account, form, greeting)
            add_success(request, _("Added: “%(name)s”.") % {"name": sound.name})
            return redirect("console:sound", name, sound.pk)
    return render_recorder(request, "console/sound_add.html", {"account": account, "form": form})


@contextmanager
def report_failure(form):
    """Add an error to the form if a rule refuses the sound, or the store fails."""
    try:
        yield
    except ValidationError as error:
        form.add_error(None, error.messages)
    except OSError:
        log.exception("A sound cannot be stored.")
        form.add_error(None, _("The greeting cannot be stored: try again later."))


@transaction.atomic
def create(request, account: Account, form: NewSoundForm, greeting: Greeting) -> Sound:
    """Store the sound, or return the one that the same form has stored before."""
    Account.objects.select_for_update(no_key=True).get(pk=account.pk)
    uuid = form.make_uuid(get_form_uuid(request))
    first = Sound.objects.filter(pk=uuid).first() if uuid else None
    if first and not first.is_deleted:
        return first
    values = form.get_values()
    if uuid and first is None:
        values["uuid"] = uuid
    return Sound.create(account, greeting, **values)


def get_form_data(request) -> tuple:
    return (request.POST, request.FILES) if request.method == "POST" else ()


def render_recorder(request, template, context):
    """Render a page that may record with the microphone, and play what it has recorded."""
    context |= {"most_seconds": MAX_SOUND_SECONDS}
    response = render(request, template, context)
    policy = settings.ANSWER_HEADERS["Permissions-Policy"]
    response["Permissions-Policy"] = policy.replace("microphone=()", "microphone=(self)")
    response["Content-Security-Policy"] = "; ".join(
        f"{directive} {' '.join(sources)}"
        for directive, sources in (settings.SECURE_CSP | {"media-src": ["'self'", "blob:"]}).items()
    )
    return response


@require_safe
@staff_with("mailboxes.view_sound")
def sound(request, name, uuid):
    sound = get_sound(request, name, uuid)
    users = sound.find_users().select_related("account")
    context = {
        "sound": sound,
        "player": create_sound_player(sound),
        "users": users[:USERS_SHOWN],
        "user_count": users.count(),
        "voice": sound.voice and list_voices().get(sound.voice, sound.voice),
        "changes": list_changes(sound),
        "may_put_back": request.user.has_perms(PUT_BACK),
        "retention_days": settings.RETENTION_DAYS,
    }
    return render(request, "console/sound.html", context)


@require_safe
@staff_with("mailboxes.view_sound")
def sound_audio(request, name, uuid):
    """Send the recording, or the part that a player asks for; with `?download`, as a file."""
    sound = get_sound(request, name, uuid)
    response = answer_sound(request, sound.audio)
    if "download" in request.GET and response.status_code == 200:
        file_name = f"{slugify(sound.name) or sound.pk}.wav"
        response["Content-Disposition"] = content_disposition_header(True, file_name)
    return response


@form_page
@staff_with("mailboxes.change_sound")
@atomic_post
def sound_edit(request, name, uuid):
    sound = get_sound(request, name, uuid)
    if sound.is_deleted:
        return refuse_deleted(request, sound)
    saved, version = copy(sound), sound.version
    form = fill_in(request, SoundForm(request.POST or None, instance=sound))
    if form.is_valid():
        with report_failure(form):
            if form.has_changed():
                saved.change(**form.cleaned_data)
                add_done(request, _("Saved: “%(name)s”."), saved, version)
            return redirect("console:sound", name, uuid)
    return render(request, "console/sound_edit.html", {"sound": saved, "form": form})


@form_page
@staff_with("mailboxes.change_sound")
def sound_replace(request, name, uuid):
    """Replace the recording. Mailboxes that use the greeting play the new one at once."""
    sound = get_object_or_404(find_sounds(name), pk=uuid)
    form = fill_in(request, AudioForm(*get_form_data(request)))
    if sound.is_deleted:
        return refuse_deleted(request, sound)
    if form.is_valid() and (greeting := form.decode()):
        with report_failure(form), transaction.atomic():
            sound = get_sound(request, name, uuid)
            version = sound.version
            sound.replace_audio(greeting, **form.get_values())
            add_done(request, _("The recording of “%(name)s” was replaced."), sound, version)
            return redirect("console:sound", name, uuid)
    return render_recorder(request, "console/sound_replace.html", {"sound": sound, "form": form})


def refuse_deleted(request, sound):
    messages.error(request, _("This greeting was deleted. Restore it first."))
    return redirect("console:sound", sound.account, sound.pk)


@require_POST
@staff_with("mailboxes.delete_sound")
@atomic_post
def sound_delete(request, name, uuid):
    sound = get_sound(request, name, uuid)
    return apply(request, sound, sound.soft_delete, _("Deleted: “%(name)s”."))


@require_POST
@staff_with("mailboxes.delete_sound")
@atomic_post
def sound_restore(request, name, uuid):
    sound = get_sound(request, name, uuid)
    return apply(request, sound, sound.restore, _("Restored: “%(name)s”."))


def apply(request, sound, action, text):
    """Call the action, say what was done or why not, and show the sound."""
    version = sound.version
    try:
        action()
    except ValidationError as error:
        messages.error(request, error.messages[0])
    else:
        if sound.version != version:
            add_done(request, text, sound, version)
    return redirect("console:sound", sound.account, sound.pk)


@require_POST
@staff_with(*PUT_BACK)
def sound_put_back(request, name, uuid, version):
    """Put back the state of this version of the sound, with its recording."""
    sound = get_object_or_404(find_sounds(name), pk=uuid)
    before = sound.version
    try:
        sound = put_back(sound, version)
    except Sound.DoesNotExist:
        raise Http404 from None
    except AudioRemovedError:
        messages.error(request, _("Nothing was changed: that recording has been removed for good."))
    except ValidationError as error:
        messages.error(request, error.messages[0])
    else:
        add_done(request, _("“%(name)s” is as it was."), sound, before)
    return redirect_to_next(request, resolve_url("console:sound", name, uuid))


def add_done(request, text, sound, version) -> None:
    """Add a success message with a button that puts this version back."""
    undo = resolve_url("console:sound-put-back", sound.account, sound.pk, version)
    add_success(request, text % {"name": sound.name}, undo=undo)


def find_sounds(name):
    """Return the account's sounds, with the deleted ones that can be restored."""
    found = Sound.objects.restorable().select_related("account", "audio")
    return found.filter(account__name=name)


def get_sound(request, name, uuid) -> Sound:
    """Return the account's sound, locked on POST. Raises Http404."""
    return get_object_or_404(lock_for_update(request, find_sounds(name)), pk=uuid)
