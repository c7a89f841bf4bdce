"""Sounds: list, read, change, delete and restore them, and their temporary addresses."""

from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from django.core.signing import TimestampSigner
from django.utils.timezone import timedelta

from mailboxes.audio.recordings import Recording
from mailboxes.http import sounds as http_sounds
from mailboxes.models import Account, Mailbox, Sound
from mailboxes.sound_history import list_changes
from tests.recordings import make_form, make_wav
from tests.service import InProcess
from tests.sounds import create_sound, make_greeting

PATH = "/voip/sound"


@pytest.fixture
def sound(account):
    return create_sound(account)


@pytest.fixture
def reseller(account):
    account.reseller = Account.objects.create(name="reseller")
    account.save()
    return account.reseller


def path_of(sound):
    return f"{PATH}/{sound.pk}"


def names(answer):
    return [sound["name"] for sound in answer.result]


# --- Read -----------------------------------------------------------------------


def test_list_has_own_and_shared_sounds_newest_first(service, account, reseller):
    create_sound(account, "First")
    create_sound(reseller, "Shared", shared=True)
    create_sound(reseller, "Hidden")
    create_sound(Account.objects.create(name="stranger"), "Foreign", shared=True)
    create_sound(account, "Deleted").soft_delete()
    create_sound(account, "Last")
    answer = service.get(PATH)
    assert (answer.status, names(answer)) == (200, ["Last", "Shared", "First"])
    assert answer.headers["x-total-count"] == "3"


def test_empty_list_is_200(service, account):
    assert service.get(PATH).result == []


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("search=öff", ["Öffnungszeiten"]),
        ("search=OFFNUNG", ["Öffnungszeiten"]),
        ("search=holiday", ["Summer"]),
        ("tag=HOLIDAY", ["Summer"]),
        ("shared=true", ["Summer"]),
        ("shared=false", ["Öffnungszeiten"]),
        ("deleted=true", ["Gone"]),
    ],
)
def test_list_is_filtered(service, account, query, found):
    create_sound(account, "Öffnungszeiten")
    create_sound(account, "Summer", tag="Holiday", shared=True)
    create_sound(account, "Gone").soft_delete()
    assert names(service.get(f"{PATH}?{query}")) == found


@pytest.mark.parametrize(
    "query",
    ["limit=0", "limit=x", "cursor=x", "shared=maybe", "search=", "tag=%00", "unknown=1&limit=1"],
)
def test_wrong_parameter_is_400(service, account, query):
    assert service.get(f"{PATH}?{query}").status == 400


def test_pages_have_each_sound_once(service, account):
    for number in range(5):
        create_sound(account, f"Sound {number}")
    rows = list(service.get_rows(f"{PATH}?limit=2"))
    assert [row["name"] for row in rows] == [f"Sound {number}" for number in (4, 3, 2, 1, 0)]


def test_sound_is_shown_with_its_etag(service, sound):
    answer = service.get(path_of(sound))
    assert (answer.status, answer.result["name"]) == (200, "Welcome")
    assert answer.headers["etag"] == '"1"'
    again = service.get(path_of(sound), headers={"If-None-Match": '"1"'})
    assert again.status == 304


def test_shared_sound_of_the_reseller_is_read(service, reseller):
    assert service.get(path_of(create_sound(reseller, shared=True))).status == 200


@pytest.mark.parametrize("kind", ["unknown", "deleted", "of a stranger", "not shared"])
def test_other_sound_is_404(service, account, reseller, kind):
    path = f"{PATH}/{uuid4()}"
    if kind == "deleted":
        sound = create_sound(account)
        sound.soft_delete()
        path = path_of(sound)
    elif kind == "of a stranger":
        path = path_of(create_sound(Account.objects.create(name="stranger"), shared=True))
    elif kind == "not shared":
        path = path_of(create_sound(reseller))
    for method in ("GET", "PATCH", "DELETE"):
        assert service.call(method, path, {"name": "x"}).status == 404
    assert service.get(f"{path}/content-url").status == 404


# --- The temporary address --------------------------------------------------------


def content_path(service, sound):
    url = urlsplit(service.get(f"{path_of(sound)}/content-url").result["content_url"])
    assert (url.scheme, url.netloc) == ("http", "localhost")
    return url.path


def test_temporary_address_opens_without_a_credential(service, sound):
    answer = InProcess().get(content_path(service, sound))
    assert (answer.status, answer.headers["content-type"]) == (200, "audio/wav")
    assert Recording.from_wav(answer.body) == make_greeting().original


def test_temporary_address_takes_ranges_and_conditions(service, sound):
    path = content_path(service, sound)
    part = InProcess().get(path, headers={"Range": "bytes=0-3"})
    assert (part.status, part.body) == (206, b"RIFF")
    tag = {"If-None-Match": part.headers["etag"]}
    assert InProcess().get(path, headers=tag).status == 304
    assert InProcess().get(path, headers={"Range": "bytes=99999999-"}).status == 416
    assert InProcess().call("HEAD", path).body == b""


def test_temporary_address_closes_after_ten_minutes(service, sound, monkeypatch):
    path = content_path(service, sound)
    unsign = TimestampSigner.unsign

    def unsign_later(self, value, max_age):
        return unsign(self, value, max_age=timedelta(seconds=max_age - 601))

    monkeypatch.setattr(TimestampSigner, "unsign", unsign_later)
    assert InProcess().get(path).status == 404


def test_wrong_signature_opens_nothing(sound):
    for signed in ("x", f"{sound.audio_id}:1:x", str(sound.audio_id)):
        assert InProcess().get(f"/sounds/content/{signed}").status == 404
    other = http_sounds.signer.sign(str(uuid4()))
    assert InProcess().get(f"/sounds/content/{other}").status == 404


# --- Change, delete, restore ------------------------------------------------------


def test_change_sets_what_is_sent(service, sound):
    answer = service.patch(path_of(sound), {"name": "Hello", "shared": True})
    assert (answer.status, answer.headers["etag"]) == (200, '"2"')
    found = {name: answer.result[name] for name in ("name", "shared", "tag")}
    assert found == {"name": "Hello", "shared": True, "tag": "Greeting"}
    (author,) = sound.account.credentials.all()
    assert list_changes(sound)[0].credential == author


def test_empty_change_changes_nothing(service, sound):
    assert service.patch(path_of(sound), {}).headers["etag"] == '"1"'


def test_form_with_a_file_replaces_the_audio(service, sound):
    before = sound.audio_id
    answer = service.patch(path_of(sound), **make_form(make_wav(3), "file"))
    assert (answer.status, answer.result["file_name"]) == (200, "message.wav")
    assert answer.result["name"] == "Welcome"
    sound.refresh_from_db()
    assert sound.audio_id != before
    assert sound.audio.duration == 3


def test_replaced_audio_of_a_voice_becomes_a_recording(service, account):
    sound = create_sound(account, text="Hello", voice="en")
    assert service.get(path_of(sound)).result["audio_type"] == 2
    answer = service.patch(path_of(sound), **make_form(make_wav(), "file"))
    assert answer.result["audio_type"] == 1


def test_wrong_change_is_400_and_changes_nothing(service, sound):
    answer = service.patch(path_of(sound), {"name": "", "shared": 5})
    assert (answer.status, sorted(answer.errors)) == (400, ["name", "shared"])
    answer = service.patch(path_of(sound), **make_form(b"no audio", "file", name="Hello"))
    assert (answer.status, list(answer.errors)) == (400, ["file"])
    sound.refresh_from_db()
    assert (sound.name, sound.version) == ("Welcome", 1)


def test_outdated_etag_is_412(service, sound):
    sound.change(name="Hello")
    for method in ("PATCH", "DELETE"):
        answer = service.call(method, path_of(sound), {"name": "x"}, headers={"If-Match": '"1"'})
        assert answer.status == 412
    sound.refresh_from_db()
    assert (sound.name, sound.is_deleted) == ("Hello", False)


def test_sound_of_the_reseller_is_409(service, reseller):
    sound = create_sound(reseller, shared=True)
    for method in ("PATCH", "DELETE"):
        answer = service.call(method, path_of(sound), {"name": "x"})
        assert answer.status == 409
        assert answer.errors["non_field_errors"][0]["code"] == "of_reseller"
    assert service.post(f"{path_of(sound)}/restore").status == 409


def test_sound_that_a_customer_uses_stays_shared(service, account, sound):
    sound.change(shared=True)
    customer = Account.objects.create(name="customer", reseller=account)
    Mailbox.objects.create(account=customer, name="Shop", greeting=sound.pk)
    answer = service.patch(path_of(sound), {"shared": False})
    assert (answer.status, "“Shop”" in str(answer.errors)) == (409, True)


def test_deleted_sound_is_gone_and_restored(service, sound):
    deleted = service.delete(path_of(sound))
    assert (deleted.status, deleted.body) == (204, b"")
    assert service.get(path_of(sound)).status == 404
    answer = service.post(f"{path_of(sound)}/restore")
    assert (answer.status, answer.result["name"]) == (200, "Welcome")
    assert service.get(path_of(sound)).status == 200


def test_used_sound_is_409_and_names_the_mailboxes(service, account, sound):
    Mailbox.objects.create(account=account, name="Reception", greeting=sound.pk)
    stranger = Account.objects.create(name="stranger")
    Mailbox.objects.create(account=stranger, name="Secret", greeting=sound.pk)
    answer = service.delete(path_of(sound))
    assert (answer.status, answer.errors["non_field_errors"][0]["code"]) == (409, "in_use")
    assert "“Reception”" in str(answer.errors)
    assert "Secret" not in str(answer.errors)
    assert Sound.objects.active().count() == 1


def test_full_account_restores_nothing(service, account, sound, monkeypatch):
    sound.soft_delete()
    create_sound(account)
    monkeypatch.setattr("mailboxes.contract.MAX_SOUNDS", 1)
    assert service.post(f"{path_of(sound)}/restore").status == 409
