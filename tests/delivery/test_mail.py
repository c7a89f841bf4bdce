"""Mails to the recipients of a message, by a real mail server."""

import logging
from datetime import timedelta
from functools import partial

import pytest
from django.core.management import call_command
from django.utils import timezone
from django_tasks_db.models import DBTaskResult

from mailboxes.audio.encoding import encode_mp3
from mailboxes.delivery import mail
from mailboxes.models import ApiCredential, Mailbox, MailDelivery, Message
from mailboxes.models.mail import with_failures
from mailboxes.models.signals import message_transcribed
from tests.console.conftest import sign_in_member_of
from tests.console.pages import get_text
from tests.delivery.running import list_delays, pass_time
from tests.delivery.running import run_tasks as run_all
from tests.messages import leave_message

pytestmark = pytest.mark.django_db
run_tasks = partial(run_all, ["mail"])
ANN, BOB = "ann@example.com", "bob@example.com"


@pytest.fixture
def manager(db):
    return sign_in_member_of("Manager")


def list_states() -> dict:
    return dict(MailDelivery.objects.values_list("email", "state"))


def transcribe(message, text="Call me back."):
    message.transcription, message.transcription_status = text, Message.Status.DONE
    message.save()
    message_transcribed.send(Message, message=message)


# --- Who gets a mail ---------------------------------------------------------------------


def test_each_recipient_gets_one_mail_of_their_own(mail_server, mailbox):
    leave_message(mailbox, "Carla")
    run_tasks()
    assert mail_server.list_addresses() == [ANN, BOB]
    for address in (ANN, BOB):
        assert mail_server.read_mail(address)["To"] == address
    assert list_states() == {ANN: "sent", BOB: "sent"}
    assert run_tasks() == 0


def test_message_without_a_mail_server_makes_no_mail(mailbox):
    leave_message(mailbox)
    assert (MailDelivery.objects.count(), DBTaskResult.objects.count()) == (0, 0)


def test_same_call_again_sends_no_second_mail(mail_server, mailbox):
    for _ in range(2):
        leave_message(mailbox, call_id="1")
        run_tasks()
    assert mail_server.list_addresses() == [ANN, BOB]


def test_no_mail_is_sent_if_the_engine_sends_mails_itself(mail_server, mailbox, account):
    engine, _ = ApiCredential.objects.issue(account, "pbx", is_engine=True, sends_mail=True)
    leave_message(mailbox)
    assert run_tasks() == 0
    engine.revoke()
    leave_message(mailbox)
    assert run_tasks() == 2


@pytest.mark.parametrize("gone", ["message", "mailbox"])
def test_deleted_message_is_not_mailed(mail_server, mailbox, gone):
    message = leave_message(mailbox)
    (message if gone == "message" else mailbox).soft_delete()
    run_tasks()
    assert mail_server.mails == []
    assert list_states() == {ANN: "canceled", BOB: "canceled"}


def test_purged_message_is_not_mailed(mail_server, mailbox):
    leave_message(mailbox).delete()
    assert run_tasks() == 2
    assert mail_server.mails == []
    assert set(DBTaskResult.objects.values_list("status", flat=True)) == {"SUCCESSFUL"}


def test_removed_recipient_is_not_mailed(mail_server, mailbox):
    leave_message(mailbox)
    mailbox.email_recipients.get(email=ANN).delete()
    run_tasks()
    assert mail_server.list_addresses() == [BOB]
    assert list_states() == {ANN: "canceled", BOB: "sent"}


# --- Waiting for the transcription -------------------------------------------------------


def test_mail_waits_for_the_transcription(mail_server, mailbox):
    message = leave_message(mailbox, transcription_status="pending")
    assert run_tasks() == 0
    transcribe(message)
    run_tasks()
    assert "Call me back." in mail_server.read_mail(ANN).get_body(("plain",)).get_content()
    pass_time(seconds=61)
    assert run_tasks() == 2  # the tasks that waited
    assert mail_server.list_addresses() == [ANN, BOB]


def test_mail_goes_without_a_late_transcription(mail_server, mailbox, settings):
    settings.MAIL_WAIT_SECONDS = 90
    message = leave_message(mailbox, transcription_status="pending")
    assert list_delays() == pytest.approx([90, 90], abs=5)
    pass_time(seconds=91)
    run_tasks()
    assert mail_server.list_addresses() == [ANN, BOB]
    assert "Transcription" not in mail_server.read_mail(ANN).get_body(("plain",)).get_content()
    transcribe(message)
    assert run_tasks() == 0


def test_mail_of_another_task_is_not_sent(mail_server, mailbox):
    """The transcription came while the mail was being sent without it."""
    message = leave_message(mailbox)
    mail.enqueue(MailDelivery.objects.filter(message=message))
    first, second = DBTaskResult.objects.filter(args_kwargs__args=[message_pk(message)])
    assert mail.claim(message_pk(message), first.pk)
    assert mail.claim(message_pk(message), second.pk) is None
    assert mail.claim(message_pk(message), first.pk)  # after its worker was killed


def message_pk(message) -> int:
    return MailDelivery.objects.get(message=message, email=ANN).pk


# --- A message with many recipients ------------------------------------------------------


@pytest.fixture
def crowd(account):
    """Return a mailbox with more recipients than have the first mails."""
    crowd = Mailbox.objects.create(account=account, name="Crowd")
    for number in range(mail.FIRST_MAILS + 3):
        crowd.add_recipient(f"crowd{number}@example.com")
    return crowd


def list_crowd(numbers) -> list:
    return [f"crowd{number}@example.com" for number in numbers]


@pytest.mark.parametrize("waits", [False, True])
def test_mails_of_others_go_between_those_of_a_message(mail_server, mailbox, crowd, waits):
    message = leave_message(crowd, transcription_status="pending" if waits else "off")
    if waits:
        transcribe(message)
    leave_message(mailbox)
    run_tasks()
    first, last = range(mail.FIRST_MAILS), range(mail.FIRST_MAILS, mail.FIRST_MAILS + 3)
    expected = [*list_crowd(first), ANN, BOB, *list_crowd(last)]
    assert [address for address, _content in mail_server.mails] == expected


def test_recording_is_encoded_once_for_all_mails(mail_server, crowd, monkeypatch):
    encoded = []
    monkeypatch.setattr(mail, "encode_mp3", lambda wav: encoded.append(wav) or encode_mp3(wav))
    mail_server.refusals = dict.fromkeys(list_crowd([0]), "451 Try again later")
    for _ in range(2):
        leave_message(crowd)
    run_tasks()
    mail_server.refusals.clear()
    pass_time(minutes=5)
    run_tasks()
    assert len(mail_server.mails) == 2 * crowd.email_recipients.count()
    assert len(encoded) == 2
    assert all(b"audio/mpeg" in content for _to, content in mail_server.mails)


# --- Refusals ----------------------------------------------------------------------------


def get_failures(mailbox) -> dict:
    return {
        each.email: each.last_answer if each.last_state == "failed" else None
        for each in with_failures(mailbox.email_recipients.all())
    }


def test_temporary_refusal_is_tried_again_for_a_day(mail_server, mailbox):
    mail_server.refusals[ANN] = "451 Try again later"
    leave_message(mailbox)
    passed = timedelta()
    while run_tasks():
        assert list_states()[BOB] == "sent"
        passed += timedelta(seconds=max(list_delays(), default=0))
        pass_time(hours=2)
    assert timedelta(hours=20) < passed < timedelta(hours=28)
    assert mail_server.attempts == {ANN: mail.ATTEMPTS, BOB: 1}
    assert list_states() == {ANN: "failed", BOB: "sent"}
    assert get_failures(mailbox) == {ANN: "451 Try again later", BOB: None}


def test_mail_is_sent_once_the_server_accepts_it(mail_server, mailbox):
    mail_server.refusals[ANN] = "451 Try again later"
    leave_message(mailbox)
    run_tasks()
    assert list_states() == {ANN: "waiting", BOB: "sent"}
    del mail_server.refusals[ANN]
    pass_time(minutes=5)
    run_tasks()
    assert mail_server.list_addresses() == [ANN, BOB]
    assert list_states() == {ANN: "sent", BOB: "sent"}


@pytest.mark.parametrize("place", ["refusals", "data_answers"])
def test_permanent_refusal_is_shown_until_a_later_mail_is_sent(mail_server, mailbox, place):
    getattr(mail_server, place)[ANN] = "550 No such user"
    leave_message(mailbox)
    run_tasks()
    assert list_delays() == []
    assert list_states() == {ANN: "failed", BOB: "sent"}
    assert get_failures(mailbox) == {ANN: "550 No such user", BOB: None}
    getattr(mail_server, place).clear()
    leave_message(mailbox)
    run_tasks()
    assert get_failures(mailbox) == {ANN: None, BOB: None}


def test_failure_is_gone_once_the_address_is_changed(mail_server, mailbox):
    mail_server.refusals[ANN] = "550 No such user"
    leave_message(mailbox)
    run_tasks()
    recipient = mailbox.email_recipients.get(email=ANN)
    for address in ("anne@example.com", ANN):
        recipient.email = address
        recipient.save()
        assert set(get_failures(mailbox).values()) == {None}


def test_failed_mail_is_sent_when_staff_try_it_again(mail_server, mailbox, manager):
    mail_server.refusals[ANN] = "550 No such user"
    message = leave_message(mailbox)
    run_tasks()
    page = manager.get("/jobs/")
    assert "Send a mail Sales" in get_text(page)
    assert "The mail server answered 550." in get_text(page)
    assert f"/messages/{message.pk}/" in page.content.decode()
    mail_server.refusals.clear()
    manager.post("/jobs/again/")
    run_tasks()
    assert list_states() == {ANN: "sent", BOB: "sent"}
    assert mail_server.list_addresses() == [ANN, BOB]


@pytest.mark.parametrize(
    ("answer", "state"),
    [("553 Not your sender", "waiting"), ("552 Too large", "failed"), ("451 Later", "waiting")],
)
def test_refused_sender_is_tried_again_unless_the_mail_is_too_large(
    mail_server, mailbox, answer, state
):
    mail_server.sender_answer = answer
    leave_message(mailbox)
    run_tasks()
    assert list_states() == {ANN: state, BOB: state}


def test_server_that_is_down_is_tried_again(mail_server, mailbox, settings):
    leave_message(mailbox)
    settings.EMAIL_PORT = 9
    run_tasks()
    assert list_states() == {ANN: "waiting", BOB: "waiting"}
    settings.EMAIL_PORT = mail_server.port
    pass_time(minutes=5)
    run_tasks()
    assert mail_server.list_addresses() == [ANN, BOB]


def test_connection_cut_after_the_mail_was_accepted_is_no_failure(mail_server, mailbox):
    mail_server.cuts = {ANN, BOB}
    leave_message(mailbox)
    run_tasks()
    assert list_states() == {ANN: "sent", BOB: "sent"}
    assert mail_server.list_addresses() == [ANN, BOB]


def test_mail_without_an_answer_is_sent_again_with_the_same_id(mail_server, mailbox):
    mail_server.drops = {ANN}
    leave_message(mailbox)
    run_tasks()
    mail_server.drops = set()
    pass_time(minutes=5)
    run_tasks()
    assert mail_server.list_addresses() == [ANN, ANN, BOB]
    ids = {content.partition(b"Message-ID: ")[2].split()[0] for _to, content in mail_server.mails}
    assert len(ids) == 2  # one for each recipient


def test_logs_name_no_caller_and_no_address(mail_server, mailbox, caplog):
    caplog.set_level(logging.DEBUG)
    mail_server.refusals = {ANN: f"550 {ANN} is unknown", BOB: f"451 {BOB} is away"}
    leave_message(mailbox, "Carla", caller_id_number="+4930123456", text="Call me back.")
    run_tasks()
    tasks = str(list(DBTaskResult.objects.values()))
    ours = "\n".join(each.getMessage() for each in caplog.records if "mailboxes" in each.name)
    assert "failed for good" in ours
    for text in (ours, tasks):
        assert [word for word in (ANN, BOB, "Carla", "+4930", "Call me") if word in text] == []


# --- Retention ---------------------------------------------------------------------------


def test_message_is_deleted_once_all_recipients_have_it(mail_server, mailbox, account):
    account.deletes_mailed = True
    account.save()
    mail_server.refusals[ANN] = "451 Try again later"
    message = leave_message(mailbox)
    run_tasks()
    message.refresh_from_db()
    assert not message.is_deleted
    mail_server.refusals.clear()
    pass_time(minutes=5)
    run_tasks()
    message.refresh_from_db()
    assert message.is_deleted
    assert Message.objects.deleted().get() == message  # it can be restored


def test_message_stays_if_a_recipient_was_refused(mail_server, mailbox, account):
    account.deletes_mailed = True
    account.save()
    mail_server.refusals[ANN] = "550 No such user"
    message = leave_message(mailbox)
    run_tasks()
    message.refresh_from_db()
    assert not message.is_deleted


@pytest.mark.parametrize(("removed", "is_deleted"), [([BOB], True), ([ANN, BOB], False)])
def test_message_is_deleted_if_those_without_a_mail_were_removed(
    mail_server, mailbox, account, removed, is_deleted
):
    account.deletes_mailed = True
    account.save()
    mail_server.refusals = dict.fromkeys(removed, "451 Try again later")
    message = leave_message(mailbox)
    run_tasks()
    mailbox.email_recipients.filter(email__in=removed).delete()
    pass_time(minutes=5)
    run_tasks()
    message.refresh_from_db()
    assert list_states()[BOB] == "canceled"
    assert message.is_deleted == is_deleted


def test_message_stays_unless_its_account_wants_it_deleted(mail_server, mailbox):
    leave_message(mailbox)
    run_tasks()
    assert Message.objects.active().count() == 1


def test_old_mails_are_removed(mail_server, mailbox):
    leave_message(mailbox)
    mail_server.refusals[ANN] = "451 Try again later"
    run_tasks()
    MailDelivery.objects.update(changed_at=timezone.now() - timedelta(days=29))
    call_command("purge_deleted")
    assert set(list_states()) == {ANN, BOB}
    MailDelivery.objects.update(changed_at=timezone.now() - timedelta(days=31))
    call_command("purge_deleted")
    assert list_states() == {ANN: "waiting"}
