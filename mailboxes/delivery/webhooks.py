"""Webhooks: deliveries of events, their attempts, and the events of mailboxes."""

import random
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from urllib.parse import urlsplit

import httpcore
from django.db import transaction
from django.db.models import F, OuterRef, Q, Subquery
from django.utils import timezone
from django.utils.translation import gettext_lazy
from standardwebhooks import Webhook

from mailboxes.contract import TEST_EVENT
from mailboxes.delivery import addresses
from mailboxes.delivery.events import describe_mailbox, describe_message
from mailboxes.delivery.jobs import PostponedError, every, retry, task
from mailboxes.models import Account, Mailbox, Message, WebhookDelivery, WebhookEndpoint
from mailboxes.models.history import NEWEST_FIRST, START

# The time from each failed attempt to the next one.
DELAYS = [
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    timedelta(hours=2),
    timedelta(hours=5),
    timedelta(hours=10),
    timedelta(hours=10),
]
JITTER = 0.1  # of the time, so that not everything that failed at once comes again at once
LATER = -10  # the priority of events to a failing or slow receiver: each may take ANSWER_SECONDS
LONGEST_TURN = addresses.ANSWER_SECONDS + 5  # seconds; after that, the worker was killed
SLOW_SECONDS = 2
# Seconds until an event whose receiver is busy is tried: at most as long as it has waited already.
FIRST_WAIT, LONGEST_WAIT, LONGEST_SLOW_WAIT = 1, 10, 300

GONE = 410  # the receiver wants no more

SLICE = 100  # mailboxes in one transaction
OLD_SLICE = 1000  # mailboxes whose changes are older than all webhooks: nothing is sent
MAX_SLICES = 20  # of an account in one call, so that other accounts get their turn

REFUSED = "The address is not public, so nothing was sent to it."
TIMED_OUT = f"There was no answer within {addresses.ANSWER_SECONDS} seconds."
BROKEN = "The connection broke off, or the answer is not one of HTTP."
SWITCHED_OFF = "The webhook was switched off."


class SwitchedOffError(Exception):
    """The webhook is off, or its account is suspended, so nothing is sent."""


def send(
    endpoint: WebhookEndpoint, event: str, data: dict, at: datetime | None = None
) -> WebhookDelivery:
    """Store an event for a webhook and enqueue its delivery, in the caller's transaction."""
    delivery = WebhookDelivery.create(endpoint, event, data, at)
    enqueue(delivery)
    return delivery


def send_message_events(messages: Iterable[Message], event: str) -> None:
    """Send an event of each message to the webhooks that are set to get it."""
    wanting: dict[int, list[WebhookEndpoint]] = {}  # by account
    for message in messages:
        account = message.mailbox.account
        if account.pk not in wanting:
            reached = WebhookEndpoint.objects.reached_by(account)
            wanting[account.pk] = [endpoint for endpoint in reached if event in endpoint.events]
        data = describe_message(message) if wanting[account.pk] else {}
        for endpoint in wanting[account.pk]:
            send(endpoint, event, data)


def send_test(endpoint: WebhookEndpoint) -> WebhookDelivery:
    """Send a test event, whatever events the webhook is set to get.

    Raises SwitchedOffError.
    """
    require_active(endpoint)
    return send(endpoint, TEST_EVENT, {"webhook": str(endpoint.pk)})


def send_again(delivery: WebhookDelivery) -> None:
    """Send a locked delivery again, from the start of its schedule. Raises SwitchedOffError.

    If it is due or being sent already, it is sent once.
    """
    require_active(delivery.endpoint)
    is_due = delivery.is_due
    delivery.tries = 0
    if not is_due:
        delivery.state = WebhookDelivery.State.PENDING
        delivery.next_attempt_at = timezone.now()
    delivery.save()
    if not is_due:
        enqueue(delivery)


def require_active(endpoint: WebhookEndpoint) -> None:
    if not (endpoint.is_active and endpoint.account.is_active):
        raise SwitchedOffError


def enqueue(delivery: WebhookDelivery, *, has_waited: bool = False) -> None:
    """Enqueue the next attempt. One to a failing or slow receiver comes after all others."""
    waits = has_waited or delivery.endpoint.gives_way
    task = deliver_webhook.using(
        run_after=delivery.next_attempt_at if delivery.tries else None,
        priority=LATER if waits else 0,
    )
    task.enqueue(str(delivery.pk), delivery.attempts, waits)


@task(queue_name="webhooks")
def deliver_webhook(uuid: str, attempts: int, has_waited: bool) -> None:
    """Attempt a delivery, unless it has had more than this number of attempts meanwhile."""
    due = WebhookDelivery.objects.filter(pk=uuid, attempts=attempts)
    delivery = due.select_related("endpoint").defer("content_sealed").first()
    if delivery is None:
        return
    if delivery.endpoint.gives_way and not has_waited:
        enqueue(delivery, has_waited=True)
        return
    with take_turn(delivery):
        # Another worker may have attempted it before this turn.
        if found := due.select_related("endpoint__account").first():
            attempt_and_note(found, due)


@contextmanager
def take_turn(delivery: WebhookDelivery) -> Iterator[None]:
    """Send nothing else to the webhook meanwhile. Raises PostponedError if something is sent."""
    endpoint, now = delivery.endpoint, timezone.now()
    end = now + timedelta(seconds=LONGEST_TURN)
    if not endpoint.start_turn(end):
        waited = (now - (delivery.next_attempt_at or now)).total_seconds()
        longest = LONGEST_SLOW_WAIT if endpoint.gives_way else LONGEST_WAIT
        seconds = min(max(waited, FIRST_WAIT), longest)
        raise PostponedError(seconds * random.uniform(0.1, 1), LATER)  # noqa: S311
    try:
        yield
    finally:
        endpoint.end_turn(end)


def attempt_and_note(delivery: WebhookDelivery, due) -> None:
    start = time.monotonic()
    try:
        require_active(delivery.endpoint)
        status, text = attempt(delivery)
    except SwitchedOffError:
        status, text = None, SWITCHED_OFF
    seconds = time.monotonic() - start
    with transaction.atomic():
        endpoints = WebhookEndpoint.objects.select_related("account").select_for_update(
            of=("self",), no_key=True
        )
        endpoint = endpoints.filter(pk=delivery.endpoint_id).first()
        current = due.select_for_update(no_key=True).first()
        if endpoint and current:  # neither deleted, nor attempted by another worker
            current.endpoint = endpoint
            note_attempt(current, status, text, seconds)


def give_up(task_result) -> None:
    """Mark a delivery as failed that was not attempted, as its texts cannot be decrypted."""
    uuid, attempts, _has_waited = task_result.args
    due = WebhookDelivery.objects.filter(pk=uuid, attempts=attempts)
    due.update(state=WebhookDelivery.State.FAILED, next_attempt_at=None)


retry(
    deliver_webhook,
    attempts=10,
    first=5,
    longest=3600,
    give_up=give_up,
    title=gettext_lazy("Webhook"),
)


def attempt(delivery: WebhookDelivery) -> tuple[int | None, str]:
    """Send the event. Return the answer's status and beginning, or None and the reason."""
    url, body = delivery.endpoint.url, delivery.content["body"]
    headers = sign(delivery, body)
    try:
        return addresses.post(url, headers, body)
    except addresses.RefusedAddressError:
        return None, REFUSED  # without the address, which may be a secret of our network
    except httpcore.TimeoutException:
        return None, TIMED_OUT
    except httpcore.ConnectError as error:
        return None, f"There was no connection: {error}"
    except (httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol):
        return None, BROKEN


def sign(delivery: WebhookDelivery, body: str) -> list[tuple[str, str]]:
    """Return the headers of a request with this body (Standard Webhooks 1.0)."""
    now, identifier = timezone.now(), str(delivery.pk)
    signatures = [
        Webhook(secret).sign(identifier, now, body) for secret in delivery.endpoint.signing_secrets
    ]
    return [
        ("Host", urlsplit(delivery.endpoint.url).netloc),
        ("Content-Type", "application/json"),
        ("User-Agent", "Mailboxes-Webhooks/1"),
        ("webhook-id", identifier),
        ("webhook-timestamp", str(int(now.timestamp()))),
        ("webhook-signature", " ".join(signatures)),
    ]


def note_attempt(
    delivery: WebhookDelivery, status: int | None, text: str, seconds: float = 0
) -> None:
    """Store the result of an attempt, and enqueue the next one, if there is one."""
    endpoint = delivery.endpoint
    is_off = not (endpoint.is_active and endpoint.account.is_active)
    delivery.log_attempt(status, text)
    delivery.next_attempt_at = None
    succeeded = status is not None and 200 <= status < 300
    if succeeded:
        delivery.state = WebhookDelivery.State.DELIVERED
    elif is_off or status == GONE or delivery.tries > len(DELAYS):
        delivery.state = WebhookDelivery.State.FAILED
    else:
        delay = DELAYS[delivery.tries - 1] * random.uniform(1 - JITTER, 1 + JITTER)  # noqa: S311
        delivery.next_attempt_at = timezone.now() + delay
    delivery.save()
    if not is_off:
        is_failing = endpoint.note_attempt(succeeded, is_slow=seconds > SLOW_SECONDS)
        if status == GONE:
            endpoint.switch_off(WebhookEndpoint.OffReason.GONE)
        elif is_failing:
            endpoint.switch_off(WebhookEndpoint.OffReason.FAILING)
    if delivery.next_attempt_at:
        enqueue(delivery)


@every(1)
def announce_changes() -> None:
    """Send the events of mailboxes that have changed since the last call."""
    for account in find_changed_accounts():
        for _slice in range(MAX_SLICES):
            if not announce_slice(account):
                break


def find_changed_accounts() -> Iterable[Account]:
    """Return accounts that webhooks belong to or include, and that have unsent changes."""
    active = WebhookEndpoint.objects.active().order_by()
    webhooks = list(active.values_list("account", "include_customers"))
    if not webhooks:
        return []
    concerned = Q(pk__in={account for account, _includes in webhooks})
    if roots := {account for account, includes in webhooks if includes}:
        trees = Account.objects.trees(Account.objects.filter(pk__in=roots))
        concerned |= Q(pk__in=trees.order_by().values("pk"))
    changed = select_unannounced(Mailbox.objects.filter(account=OuterRef("pk")))
    accounts = Account.objects.filter(concerned).order_by()
    return accounts.annotate(changed=Subquery(changed.values("pk")[:1])).exclude(changed=None)


def select_unannounced(mailboxes):
    # The order makes PostgreSQL use the index: it expects that a third of all mailboxes match.
    return mailboxes.filter(announced_version__lt=F("version")).order_by("updated_at")


@transaction.atomic
def announce_slice(account: Account) -> bool:
    """Send the events of some mailboxes, the oldest first. Return True if there may be more.

    Mailboxes that are locked by a change are left for a later call.
    """
    endpoints = list(WebhookEndpoint.objects.reached_by(account).select_related("account"))
    if not endpoints:
        return False
    start = min(endpoint.active_since for endpoint in endpoints)
    changed = select_unannounced(account.mailboxes.all())
    changed = changed.select_for_update(no_key=True, skip_locked=True)
    old = changed.filter(updated_at__lt=start).values_list("pk", flat=True)
    if pks := list(old[:OLD_SLICE]):
        mark_announced(pks)
        return True
    mailboxes = {mailbox.pk: mailbox for mailbox in changed[:SLICE]}
    for mailbox, event, at in find_events(mailboxes, start):
        wanting = [e for e in endpoints if event in e.events and at >= e.active_since]
        data = describe_mailbox(mailbox) if wanting else {}
        for endpoint in wanting:
            send(endpoint, event, data, at)
    mark_announced(mailboxes)
    return len(mailboxes) == SLICE


def mark_announced(pks) -> None:
    Mailbox.objects.filter(pk__in=list(pks)).update(announced_version=F("version"))


def find_events(mailboxes: dict, start: datetime) -> Iterator[tuple[Mailbox, str, datetime]]:
    """Yield each mailbox with the events of its versions that were not sent, oldest first.

    There is one `mailbox.updated` if the mailbox was changed and neither created, deleted nor
    restored: each event has the mailbox as it is now.
    """
    history = Mailbox.history.filter(uuid__in=mailboxes, history_date__gte=start)
    before = Mailbox.history.filter(uuid=OuterRef("uuid"), version__lt=OuterRef("version"))
    before = before.order_by(*NEWEST_FIRST).values("deleted_at")[:1]
    rows = history.exclude(history_type=START).annotate(deleted_before=Subquery(before))
    found: dict = {pk: [] for pk in mailboxes}
    for row in rows.order_by("uuid", "version", "history_id"):
        if row.version <= mailboxes[row.uuid].announced_version:
            continue
        if row.history_type == "+":
            found[row.uuid].append(("mailbox.created", row.history_date))
        elif row.deleted_at and not row.deleted_before:
            found[row.uuid].append(("mailbox.deleted", row.history_date))
        elif row.deleted_before and not row.deleted_at:
            found[row.uuid].append(("mailbox.restored", row.history_date))
    for pk, mailbox in mailboxes.items():
        for event, at in found[pk] or [("mailbox.updated", mailbox.updated_at)]:
            yield mailbox, event, at
