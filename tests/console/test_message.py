"""The page of one message, and the buttons on it."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from mailboxes.encryption import KeyRing
from mailboxes.models import Mailbox, Message
from tests.console.conftest import DELETED, NAME, NUMBER, SAID, list_messages, sign_in_with
from tests.console.pages import get_source, get_text
from tests.messages import leave_message

ACTIONS = ["hear", "unhear", "delete", "restore"]


def get_address(message, part=""):
    return f"/mailboxes/{message.mailbox_id}/messages/{message.pk}/{part}"


def press(browser, message, action, **form):
    return browser.post(get_address(message, f"{action}/"), form, follow=True)


def reload(message):
    return Message.objects.get(pk=message.pk)


# --- The page -------------------------------------------------------------------


def test_page_shows_caller_time_length_and_transcription(manager, message):
    source = get_source(manager, get_address(message))
    for text in (NAME, NUMBER, SAID, "0:02", "2024-05-17 09:30 UTC", "not yet"):
        assert text in source
    assert f'src="{get_address(message, "recording/")}"' in source
    assert f'href="{get_address(message, "recording/")}?download"' in source


def test_caller_without_name_or_number_is_unknown(manager, sales):
    page = get_text(manager.get(get_address(leave_message(sales))))
    assert "Unknown caller" in page
    assert "Number unknown" in page


def test_waveform_has_a_line_for_each_peak(manager, message):
    source = get_source(manager, get_address(message))
    assert source.count("v100") + source.count("v99") == 200  # a tone is as loud everywhere
    assert 'viewBox="0 0 400 100"' in source


def test_page_without_listen_permission_says_why_and_shows_nothing_of_the_message(support, message):
    response = support.get(get_address(message))
    source = response.content.decode()
    assert "The login “support” may not listen to messages" in get_text(response)
    for text in (NAME, NUMBER, "0:02", "Mark as heard"):
        assert text in source
    for secret in (SAID, "<audio", "<path", "recording/", "player"):
        assert secret not in source


STATUSES = {
    "off": "The message was not transcribed.",
    "pending": "The message is being transcribed.",
    "no_speech": "The message has no speech.",
    "failed": "The message could not be transcribed.",
}


@pytest.mark.parametrize(("status", "text"), STATUSES.items())
def test_missing_transcription_is_explained(manager, sales, status, text):
    message = leave_message(sales, transcription_status=status)
    assert text in get_text(manager.get(get_address(message)))


def test_transcription_that_cannot_be_decrypted_is_explained(manager, message, sales, settings):
    text = "The transcription cannot be decrypted: its key is missing, or it was damaged."
    damaged = leave_message(sales, text=SAID)
    Message.objects.filter(pk=damaged.pk).update(transcription_sealed="bm9uc2Vuc2U=")
    for page in (get_address(damaged), "/messages/"):
        assert manager.get(page).status_code == 200
    assert text in get_text(manager.get(get_address(damaged)))
    settings.PASS_CODE_KEYS = KeyRing([bytes(32)])
    assert text in get_text(manager.get(get_address(message)))


def test_page_leads_to_newer_and_older_messages_of_the_mailbox(manager, sales, account):
    moment = timezone.now() - timedelta(hours=1)
    rows = [leave_message(sales, received_at=moment) for _ in range(3)]
    rows.sort(key=lambda row: row.pk)
    leave_message(sales, received_at=moment).soft_delete()
    leave_message(Mailbox.objects.create(account=account, name="Other"), received_at=moment)
    for number, row in enumerate(rows):
        context = manager.get(get_address(row)).context
        assert context["older"] == (rows[number - 1] if number else None)
        assert context["newer"] == (rows[number + 1] if number < 2 else None)


def test_links_keep_the_table_from_which_the_mailbox_was_opened(manager, sales):
    message, newer = leave_message(sales), leave_message(sales)
    source = get_source(manager, f"{get_address(message)}?list=q%3Dacme")
    assert f'href="{get_address(newer)}?list=q%3Dacme"' in source
    assert 'href="/?q=acme"' in source


def test_message_of_another_mailbox_is_not_found(manager, message, account):
    other = Mailbox.objects.create(account=account, name="Other")
    address = get_address(message).replace(str(message.mailbox_id), str(other.pk))
    for part in ("", "recording/"):
        assert manager.get(address + part).status_code == 404
    for action in ACTIONS:
        assert manager.post(f"{address}{action}/").status_code == 404


def test_page_makes_few_queries(manager, message, django_assert_max_num_queries):
    manager.get(get_address(message))
    with django_assert_max_num_queries(10):
        manager.get(get_address(message))


# --- Buttons --------------------------------------------------------------------


def test_message_is_marked_as_heard_by_the_user_and_back(support, message):
    page = get_text(press(support, message, "hear"))
    assert "1 message was marked as heard." in page
    assert "UTC by support" in page
    assert reload(message).heard_by == support.user
    page = get_text(press(support, message, "unhear"))
    assert "Heard not yet" in page
    assert (reload(message).is_heard, reload(message).heard_by) == (False, None)


def test_message_that_a_program_marked_was_not_heard_by_staff(support, message):
    message.mark_heard(True)
    assert "UTC not by staff" in get_text(support.get(get_address(message)))


def test_first_mark_stays(manager, support, message):
    press(support, message, "hear")
    press(manager, message, "hear")
    assert reload(message).heard_by == support.user


def test_mark_by_a_script_leaves_no_message_for_the_next_page(manager, message):
    address = get_address(message, "hear/")
    page = manager.post(address, headers={"HX-Request": "true"}, follow=True)
    assert list_messages(page) == []
    assert 'action="' + get_address(message, "unhear/") in page.content.decode()


def test_message_is_deleted_and_restored(support, message):
    page = press(support, message, "delete", next=f"/mailboxes/{message.mailbox_id}/")
    assert page.redirect_chain[-1][0] == f"/mailboxes/{message.mailbox_id}/"
    assert reload(message).is_deleted
    assert list_messages(page) == ["1 message was deleted."]
    source = get_source(support, get_address(message))
    assert "Mark as" not in source
    assert f"by {support.user.username}" in source
    assert get_address(message, "restore/") in source
    page = press(support, message, "restore")
    assert page.wsgi_request.path == get_address(message)
    assert (reload(message).is_deleted, reload(message).deleted_by) == (False, None)


def test_foreign_next_page_is_ignored(support, message):
    page = press(support, message, "hear", next="https://evil.example/")
    assert page.wsgi_request.path == get_address(message)


def test_deleted_message_cannot_be_marked(support, message):
    message.soft_delete()
    for action in ("hear", "unhear"):
        page = press(support, message, action)
        assert list_messages(page) == [
            "1 message had been deleted meanwhile and was left as it is."
        ]
    assert reload(message).version == message.version


def test_message_of_a_deleted_mailbox_is_only_shown(manager, message):
    message.mailbox.soft_delete()
    source = get_source(manager, get_address(message))
    assert SAID in source
    assert 'method="post"' not in source.partition("<main")[2]
    for action in ACTIONS:
        assert list_messages(press(manager, message, action)) == [DELETED]
    assert reload(message).version == message.version


def test_message_is_not_restored_to_a_full_mailbox(support, message, settings):
    settings.MESSAGES_PER_MAILBOX = 1
    message.soft_delete()
    leave_message(message.mailbox)
    page = press(support, message, "restore")
    assert list_messages(page) == ["1 message was not restored: its mailbox is full."]
    assert reload(message).is_deleted


def test_message_past_retention_is_not_found(manager, message, settings):
    message.soft_delete()
    Message.objects.update(deleted_at=timezone.now() - timedelta(days=settings.RETENTION_DAYS + 1))
    assert manager.get(get_address(message)).status_code == 404
    assert manager.get(get_address(message, "recording/")).status_code == 404
    assert press(manager, message, "restore").status_code == 404


def test_unknown_action_is_not_found(manager, message):
    assert press(manager, message, "purge").status_code == 404


# --- Permissions ----------------------------------------------------------------

VIEW, CHANGE, DELETE, LISTEN = (
    "view_message",
    "change_message",
    "delete_message",
    "listen_to_message",
)
# Method, part of the address, permissions that it needs, status with all of them.
PERMISSIONS = [
    ("GET", "", {VIEW}, 200),
    ("HEAD", "", {VIEW}, 200),
    ("POST", "", {VIEW}, 405),
    ("GET", "recording/", {VIEW, LISTEN}, 200),
    ("GET", "recording/?download", {VIEW, LISTEN}, 200),
    ("HEAD", "recording/", {VIEW, LISTEN}, 200),
    ("POST", "recording/", {VIEW, LISTEN}, 405),
    ("GET", "hear/", {VIEW, CHANGE}, 405),
    ("POST", "hear/", {VIEW, CHANGE}, 302),
    ("POST", "unhear/", {VIEW, CHANGE}, 302),
    ("POST", "delete/", {VIEW, DELETE}, 302),
    ("POST", "restore/", {VIEW, DELETE}, 302),
]


@pytest.mark.parametrize(("method", "part", "needed", "status"), PERMISSIONS)
def test_address_needs_its_permissions_and_no_other(message, method, part, needed, status):
    browser = sign_in_with(*needed)
    response = browser.generic(method, get_address(message, part))
    assert response.status_code == status


@pytest.mark.parametrize(
    ("method", "part", "missing"),
    [(*row[:2], missing) for row in PERMISSIONS if row[3] != 405 for missing in sorted(row[2])],
)
def test_address_is_refused_without_one_permission(message, method, part, missing):
    browser = sign_in_with(*{VIEW, CHANGE, DELETE, LISTEN, "view_mailbox"} - {missing})
    response = browser.generic(method, get_address(message, part))
    assert response.status_code == 403
    assert reload(message).version == message.version
    for secret in (NAME, NUMBER, SAID):
        assert secret not in response.content.decode()


GROUPS = {
    ("GET", ""): {"viewer": 200, "support": 200, "manager": 200},
    ("GET", "recording/"): {"viewer": 403, "support": 403, "manager": 200},
    ("GET", "recording/?download"): {"viewer": 403, "support": 403, "manager": 200},
    **{
        ("POST", f"{action}/"): {"viewer": 403, "support": 302, "manager": 302}
        for action in ACTIONS
    },
}


@pytest.mark.parametrize("group", ["viewer", "support", "manager"])
def test_groups_may_do_what_the_table_says(request, message, group):
    browser = request.getfixturevalue(group)
    for (method, part), statuses in GROUPS.items():
        response = browser.generic(method, get_address(message, part))
        assert response.status_code == statuses[group], f"{method} {part}"


@pytest.mark.parametrize(("method", "part"), [row[:2] for row in PERMISSIONS if row[3] != 405])
def test_anonymous_user_is_sent_to_sign_in(message, method, part):
    response = Client().generic(method, get_address(message, part))
    assert (response.status_code, response.url[:9]) == (302, "/sign-in/")


def test_refusal_to_listen_names_the_permission(support, message):
    page = support.get(get_address(message, "recording/"))
    assert "You may not listen to or read messages" in get_text(page)
