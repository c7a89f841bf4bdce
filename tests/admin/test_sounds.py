"""Greetings are read-only in the admin."""

import pytest

from mailboxes.models import Sound
from tests.sounds import create_sound

PAGE = "/admin/mailboxes/sound/"


@pytest.fixture
def sound(account):
    return create_sound(account, file_name="welcome.wav", text="Thank you for calling.")


def get_page(staff, path=""):
    response = staff.get(PAGE + path)
    assert response.status_code == 200
    return response.content.decode()


def test_pages_show_a_greeting_without_its_key_and_files(staff, sound):
    for page in (get_page(staff), get_page(staff, f"{sound.pk}/change/")):
        assert "Welcome" in page
        for secret in (sound.audio.key_sealed, sound.audio.original.name):
            assert secret not in page
    assert "Thank you for calling." in get_page(staff, f"{sound.pk}/change/")


def test_list_is_filtered_and_searched(staff, sound, account):
    shared = create_sound(account, "Shared", shared=True)
    deleted = create_sound(account, "Deleted")
    deleted.soft_delete()
    names = {"Welcome": sound, "Shared": shared, "Deleted": deleted}
    for query, expected in {
        "": "Welcome Shared",
        "?shared=yes": "Shared",
        "?state=deleted": "Deleted",
        "?q=welcome.wav": "Welcome",
        f"?q={shared.pk}": "Shared",
    }.items():
        page = get_page(staff, query)
        found = [name for name, row in names.items() if str(row.pk) in page.partition("<table")[2]]
        assert found == expected.split(), query


@pytest.mark.parametrize("path", ["add/", "{}/change/", "{}/delete/"])
def test_greeting_is_not_added_changed_or_deleted(staff, sound, path):
    response = staff.post(PAGE + path.format(sound.pk), {"post": "yes", "name": "Other"})
    assert response.status_code == 403
    assert Sound.objects.get().name == "Welcome"
