"""Greetings that are sounds of this service: their addresses, and what is sent there."""

from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from django.db import transaction

from mailboxes.audio.recordings import Recording
from mailboxes.engines import sounds
from mailboxes.models import Account
from mailboxes.storage import recordings_store
from tests.engines.sound import GREETING
from tests.service import InProcess
from tests.sounds import create_sound, make_greeting


def use(mailbox, sound):
    mailbox.greeting = sound.pk
    mailbox.save()
    return sound


@pytest.fixture
def sound(account, mailbox):
    return use(mailbox, create_sound(account))


def greeting_path(asterisk, mailbox):
    return urlsplit(asterisk.mailbox(mailbox)["greeting_url"]).path


def test_lookup_has_an_address_with_the_form_for_telephones(asterisk, mailbox, sound):
    answer = InProcess().get(greeting_path(asterisk, mailbox))
    assert (answer.status, answer.headers["content-type"]) == (200, "audio/wav")
    assert answer.headers["cache-control"] == "private, max-age=86400"
    assert Recording.from_wav(answer.body) == make_greeting().telephone


def test_address_has_no_character_that_asterisk_misreads(asterisk, mailbox, sound):
    url = asterisk.mailbox(mailbox)["greeting_url"]
    assert not set(url) & set("&?%,;'\"$ ")
    assert url.endswith(".wav")


def test_freeswitch_gets_the_address_too(freeswitch, mailbox, sound):
    url = freeswitch.user(mailbox).variables["mailbox_greeting_url"]
    assert InProcess().get(urlsplit(url).path).status == 200


def test_head_has_the_headers_only(asterisk, mailbox, sound):
    path = greeting_path(asterisk, mailbox)
    head, whole = InProcess().call("HEAD", path), InProcess().get(path)
    assert (head.status, head.body) == (200, b"")
    for name in ("etag", "content-length", "cache-control"):
        assert head.headers[name] == whole.headers[name]


def test_unchanged_greeting_is_304(asterisk, mailbox, sound):
    path = greeting_path(asterisk, mailbox)
    condition = {"If-None-Match": InProcess().get(path).headers["etag"]}
    for method in ("GET", "HEAD"):
        answer = InProcess().call(method, path, headers=condition)
        assert (answer.status, answer.body) == (304, b"")
        assert answer.headers["cache-control"] == "private, max-age=86400"


def test_part_is_206_and_a_part_behind_the_end_416(asterisk, mailbox, sound):
    path = greeting_path(asterisk, mailbox)
    part = InProcess().get(path, headers={"Range": "bytes=0-3"})
    assert (part.status, part.body) == (206, b"RIFF")
    assert InProcess().get(path, headers={"Range": "bytes=9999999-"}).status == 416


def test_another_recording_has_another_address_and_the_old_one_stays(asterisk, mailbox, sound):
    old = greeting_path(asterisk, mailbox)
    with transaction.atomic():
        sound.replace_audio(make_greeting(3))
    new = greeting_path(asterisk, mailbox)
    assert new != old
    assert Recording.from_wav(InProcess().get(new).body).seconds == 3
    assert Recording.from_wav(InProcess().get(old).body).seconds == 2


def test_another_name_keeps_the_address(asterisk, mailbox, sound):
    old = greeting_path(asterisk, mailbox)
    sound.change(name="Hello")
    assert greeting_path(asterisk, mailbox) == old


def test_shared_greeting_of_the_reseller_has_an_address(asterisk, account, mailbox):
    account.reseller = Account.objects.create(name="reseller")
    account.save()
    sound = use(mailbox, create_sound(account.reseller, shared=True))
    assert greeting_path(asterisk, mailbox).endswith(f"/{sound.audio_id}.wav")


@pytest.mark.parametrize("kind", ["not shared", "of a stranger", "deleted", "unknown"])
def test_greeting_that_the_account_may_not_use_has_no_address(asterisk, account, mailbox, kind):
    reseller, stranger = (Account.objects.create(name=name) for name in ("reseller", "stranger"))
    account.reseller = reseller
    account.save()
    if kind == "unknown":
        mailbox.greeting = uuid4()
        mailbox.save()
    else:
        owners = {"not shared": reseller, "of a stranger": stranger, "deleted": account}
        sound = create_sound(owners[kind], shared=kind == "of a stranger")
        if kind == "deleted":
            sound.soft_delete()
        use(mailbox, sound)
    assert greeting_path(asterisk, mailbox) == ""


def test_sound_goes_before_the_file_of_the_same_uuid(
    sounds_folder, asterisk, account, greeted_mailbox
):
    sound = create_sound(account, uuid=GREETING)
    assert greeting_path(asterisk, greeted_mailbox).endswith(f"/{sound.audio_id}.wav")


def test_freeswitch_gets_no_path_of_a_file_that_a_sound_replaces(
    sounds_folder, freeswitch, account, greeted_mailbox
):
    create_sound(account, uuid=GREETING)
    variables = freeswitch.user(greeted_mailbox).variables
    assert "voicemail_greeting_path" not in variables
    assert "mailbox_greeting_url" in variables


@pytest.mark.parametrize("signed", ["", "x", "é"])
def test_wrong_signature_is_404(sound, signed):
    assert InProcess().get(f"/sounds/{signed}/{sound.audio_id}.wav").status == 404


def test_signature_of_the_sound_itself_opens_nothing(sound):
    assert InProcess().get(f"/sounds/{sounds.sign(sound.pk)}/{sound.pk}.wav").status == 404


def test_lost_recording_is_503(asterisk, mailbox, sound, caplog):
    recordings_store().delete(sound.audio.telephone.name)
    answer = InProcess().get(greeting_path(asterisk, mailbox))
    assert (answer.status, answer.body) == (503, b"")
    assert f"The recording of soundaudio {sound.audio_id} cannot be read." in caplog.text


def test_lookup_costs_one_query_more(asterisk, mailbox, sound, django_assert_num_queries):
    asterisk.mailbox(mailbox)
    with django_assert_num_queries(3):
        asterisk.mailbox(mailbox)
