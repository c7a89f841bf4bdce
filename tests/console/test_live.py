"""Answers to pages that stay up to date (static/js/live.js), and their queries."""

import logging

import pytest
from django.contrib.sessions.models import Session
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.html import escape

from mailboxes.history import list_accesses
from mailboxes.models import Mailbox, Message
from mailboxes.models.transcriptions import Segment
from tests.console.conftest import sign_in_with
from tests.console.pages import get_source
from tests.messages import leave_message

SEGMENTS = [Segment(0.0, 1.0, "The safe opens with swordfish.")]
CHANGES = ["hear", "unhear", "delete", "restore"]
PLACES = ["list", "mailbox", "message"]


@pytest.fixture
def ann(sales):
    return leave_message(sales, "Ann Smith", transcription_status="pending")


@pytest.fixture(params=PLACES)
def address(request, sales, ann):
    """Return an address that live.js requests."""
    return {
        "list": "/messages/",
        "mailbox": f"/mailboxes/{sales.pk}/messages/",
        "message": f"/mailboxes/{sales.pk}/messages/{ann.pk}/",
    }[request.param]


def look(browser, address, state=""):
    """Request the page like live.js, which has shown this state."""
    return browser.get(address, headers={"If-None-Match": state})


def get_state(browser, address) -> str:
    return look(browser, address).context["live_state"]


def test_page_names_its_state_and_where_to_look(viewer, sales, ann):
    for page, address in (
        (f"/mailboxes/{sales.pk}/?list=q%3Da", f"/mailboxes/{sales.pk}/messages/?list=q%3Da"),
        ("/messages/?heard=no&page=2", "/messages/?heard=no&amp;page=2"),
        (f"/mailboxes/{sales.pk}/messages/{ann.pk}/", None),
    ):
        source = get_source(viewer, page)
        assert f'data-live-address="{address or page}"' in source
        state = get_state(viewer, (address or page).replace("&amp;", "&"))
        assert f'data-live-state="{escape(state)}"' in source
        assert source.count("js/live.js") == 1


def test_unchanged_page_is_an_empty_answer_without_a_line_in_the_log(viewer, address, caplog):
    state = get_state(viewer, address)
    caplog.set_level(logging.INFO, "mailboxes.request")
    caplog.clear()
    response = look(viewer, address, state)
    assert (response.status_code, response.content) == (304, b"")
    assert caplog.messages == []
    assert viewer.get(address).status_code == 200
    assert len(caplog.messages) == 1


def test_update_does_not_prolong_the_session(viewer, address):
    state, before = get_state(viewer, address), Session.objects.get()
    for seen in (state, ""):
        response = look(viewer, address, seen)
        assert "sessionid" not in response.cookies
    after = Session.objects.get()
    assert (after.expire_date, after.session_data) == (before.expire_date, before.session_data)


def test_update_without_a_session_leads_to_sign_in(client, address):
    response = look(client, address)
    assert response.status_code == 302
    assert response["Location"].startswith("/sign-in/?next=")


def test_new_message_is_a_new_state(viewer, sales, address):
    state = get_state(viewer, address)
    leave_message(sales, "Bob")
    assert get_state(viewer, address) != state


def test_each_change_of_a_message_is_a_new_state(viewer, ann, address):
    states = [get_state(viewer, address)]
    for action in CHANGES:
        ann.refresh_from_db()
        ann.change(action)
        response = look(viewer, address, states[-1])
        assert response.status_code == 200
        states.append(response.context["live_state"])
    assert len({*states}) == len(states)


def test_finished_transcription_is_a_new_state(manager, ann, address):
    state = get_state(manager, address)
    Message.finish_transcription(ann.pk, "done", SEGMENTS)
    response = look(manager, address, state)
    assert "swordfish" in response.content.decode()
    assert "pending" not in response.content.decode().lower()


def test_message_beyond_the_shown_rows_is_a_new_state(viewer, sales, ann):
    old = [leave_message(sales, hours_ago=hours) for hours in range(1, 12)]
    address = f"/mailboxes/{sales.pk}/messages/"
    state = get_state(viewer, address)
    old[-1].soft_delete()
    assert "Search all 11" in look(viewer, address, state).content.decode()


def test_messages_of_other_mailboxes_change_nothing_on_the_page_of_one(viewer, sales, address):
    if address == "/messages/":
        return
    state = get_state(viewer, address)
    leave_message(Mailbox.objects.create(account=sales.account, name="Desk"))
    assert look(viewer, address, state).status_code == 304


def test_answer_has_the_content_alone_and_keeps_messages_for_the_next_page(support, ann, address):
    form = {"action": "hear", "uuid": str(ann.pk), "next": "/messages/"}
    assert support.post("/messages/bulk/", form).status_code == 302
    source = look(support, address).content.decode()
    assert "Ann Smith" in source
    assert "<html" not in source
    assert "was marked as heard" not in source
    assert "1 message was marked as heard." in get_source(support, "/messages/")


def test_support_gets_no_transcription(support, ann, address):
    Message.finish_transcription(ann.pk, "done", SEGMENTS)
    source = look(support, address).content.decode()
    assert "swordfish" not in source
    assert "ranscription" not in source.replace("console/transcription", "")


def test_transcription_is_recorded_as_read_once_it_is_shown(manager, sales, ann, address):
    def count_accesses():
        return len(list_accesses(sales))

    state = get_state(manager, address)
    Message.finish_transcription(ann.pk, "done", SEGMENTS)
    assert count_accesses() == 0
    look(manager, address, state)
    assert count_accesses() == 1
    look(manager, address, get_state(manager, address))
    assert count_accesses() == 1


def test_unchanged_page_takes_as_few_queries_with_many_messages(viewer, sales, address):
    counts = []
    for extra in (0, 12):
        for hours in range(extra):
            leave_message(sales, hours_ago=hours + 1)
        state = get_state(viewer, address)
        with CaptureQueriesContext(connection) as queries:
            assert look(viewer, address, state).status_code == 304
        counts.append(len(queries))
    assert counts[1] <= counts[0] <= 11


def test_search_is_not_run_every_few_seconds(manager, ann):
    assert 'id="live"' not in get_source(manager, "/messages/?q=ann")
    for state in ("", "None", "*"):
        assert look(manager, "/messages/?q=ann", state).status_code == 200


def test_new_messages_are_counted_on_the_first_page_of_present_ones(viewer, sales, ann):
    for hours in range(51):
        leave_message(sales, hours_ago=hours)
    assert "data-counts-new" in get_source(viewer, "/messages/")
    assert "data-counts-new" in get_source(viewer, f"/mailboxes/{sales.pk}/")
    for query in ("?page=2", "?state=deleted"):
        assert "data-counts-new" not in get_source(viewer, f"/messages/{query}")


def test_messages_of_a_deleted_mailbox_are_not_found(viewer, sales):
    sales.soft_delete()
    assert look(viewer, f"/mailboxes/{sales.pk}/messages/").status_code == 404


@pytest.mark.parametrize("permission", ["view_mailbox", "view_message"])
def test_messages_of_a_mailbox_need_both_permissions(sales, permission):
    browser = sign_in_with(permission)
    assert look(browser, f"/mailboxes/{sales.pk}/messages/").status_code == 403


def test_page_of_a_mailbox_is_not_live_for_those_who_see_no_messages(sales):
    source = get_source(sign_in_with("view_mailbox"), f"/mailboxes/{sales.pk}/")
    assert "live.js" not in source
