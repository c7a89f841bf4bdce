"""Messages are read-only in the admin, which shows nothing that callers say."""

import pytest

from mailboxes.models import Message
from tests.messages import leave_message

PAGE = "/admin/mailboxes/message/"
SAID = "Please call me back about the boiler."


@pytest.fixture
def message(mailbox):
    return leave_message(mailbox, "Ann", text=SAID, caller_id_number="+44 20 7946 0123")


def get_page(staff, path=""):
    response = staff.get(PAGE + path)
    assert response.status_code == 200
    return response.content.decode()


def test_pages_show_the_caller_and_nothing_that_was_said(staff, message):
    for page in (get_page(staff), get_page(staff, f"{message.pk}/change/")):
        assert "+44 20 7946 0123" in page
        for secret in (SAID, message.key_sealed, message.recording.name, "peaks"):
            assert secret not in page


def test_list_is_filtered_and_searched(staff, message, mailbox):
    heard, deleted = leave_message(mailbox, "Bob"), leave_message(mailbox, "Eve")
    heard.mark_heard(True)
    deleted.soft_delete()
    names = {"Ann": message, "Bob": heard, "Eve": deleted}
    for query, expected in {
        "": "Ann Bob",
        "?heard=yes": "Bob",
        "?heard=no": "Ann",
        "?state=deleted": "Eve",
        "?q=7946": "Ann",
        f"?q={heard.pk}": "Bob",
    }.items():
        page = get_page(staff, query)
        found = [name for name, row in names.items() if str(row.pk) in page.partition("<table")[2]]
        assert found == expected.split(), query


@pytest.mark.parametrize("path", ["add/", "{}/change/", "{}/delete/"])
def test_message_is_not_added_changed_or_deleted(staff, message, path):
    address = PAGE + path.format(message.pk)
    response = staff.post(address, {"post": "yes", "caller_id_name": "Eve"})
    assert response.status_code == 403
    assert Message.objects.get().caller_id_name == "Ann"
