"""Webhooks: addresses that get an account's events, and what was sent to them."""

import json
import secrets
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext_lazy as _

from mailboxes import contract, validators
from mailboxes.models.accounts import Account
from mailboxes.models.encrypted import EncryptedRow
from mailboxes.models.timestamps import Timestamped

NEWEST_FIRST = ["-created_at", "-uuid"]
MAX_URL_LENGTH = 2000  # characters


class WebhookEndpointQuerySet(models.QuerySet):
    def active(self):
        """Return the webhooks that events are sent to."""
        return self.filter(is_active=True, account__is_active=True)

    def reached_by(self, account: Account):
        """Return the active webhooks of the account, and of its resellers that include it."""
        # Read first: with a subquery, PostgreSQL may read the webhooks of all accounts.
        resellers = list(Account.objects.resellers(account).values_list("pk", flat=True))
        reaching = Q(account=account) | Q(include_customers=True)
        return self.active().filter(reaching, account__in=[account.pk, *resellers])


def check_event_list(events) -> None:
    """Refuse a value that is not a list of different events."""
    if not isinstance(events, list) or not set(map(str, events)) <= set(contract.WEBHOOK_EVENTS):
        raise ValidationError(
            _("Choose from: %(events)s."),
            code="invalid_choice",
            params={"events": ", ".join(contract.WEBHOOK_EVENTS)},
        )


class WebhookEndpoint(EncryptedRow, Timestamped):
    """An address that gets some events of an account, signed with a secret."""

    class OffReason(models.TextChoices):
        GONE = "gone", _("The receiver answered 410: it wants no more events.")
        FAILING = "failing", _("Every attempt of five days failed.")

    SECRET_PREFIX = "whsec_"  # noqa: S105  public: Standard Webhooks prescribes it
    ENCRYPTED_COLUMN = "secrets_sealed"
    ROTATION = timedelta(hours=24)  # for which the secret before the last rotation signs too
    FAILING_LIMIT = timedelta(days=5)

    uuid = models.UUIDField(_("UUID"), primary_key=True, default=uuid4, editable=False)
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="webhooks")
    url = models.CharField(
        _("address"),
        max_length=MAX_URL_LENGTH,
        validators=[validators.validate_webhook_url],
        help_text=_("Events are sent to it by POST."),
    )
    events = models.JSONField(_("events"), validators=[check_event_list])
    include_customers = models.BooleanField(
        _("include customers"),
        default=False,
        help_text=_("Send the events of the account's customers of all levels too."),
    )
    is_active = models.BooleanField(
        _("active"), default=True, help_text=_("If it is off, nothing is sent.")
    )
    # Older changes of mailboxes are not sent. Null while it is off.
    active_since = models.DateTimeField(null=True, editable=False)
    off_reason = models.CharField(max_length=16, choices=OffReason, blank=True, editable=False)
    failing_since = models.DateTimeField(null=True, editable=False)
    is_slow = models.BooleanField(
        default=False, db_default=False, editable=False, help_text="Of the last answer."
    )
    # While an event is being sent, so that one receiver does not keep all threads busy.
    sending_until = models.DateTimeField(null=True, editable=False)
    secrets_sealed = models.TextField(editable=False)
    previous_until = models.DateTimeField(null=True, editable=False)
    version = models.PositiveIntegerField(default=1, editable=False)

    objects = WebhookEndpointQuerySet.as_manager()

    class Meta(Timestamped.Meta):
        verbose_name = _("webhook")
        verbose_name_plural = _("webhooks")

    def __str__(self):
        """Return a text for logs, so it leaves out the address, which may contain a key."""
        return f"Webhook {self.uuid}"

    @property
    def owner(self) -> bytes:
        return self.uuid.bytes

    def clean(self):
        """Refuse too many webhooks. This is only exact if the caller has locked the account."""
        super().clean()
        others = WebhookEndpoint.objects.filter(account=self.account_id).exclude(pk=self.pk)
        if self._state.adding and others.count() >= contract.MAX_WEBHOOKS:
            raise ValidationError(
                _("An account has at most %(most)s webhooks."),
                code="limit",
                params={"most": contract.MAX_WEBHOOKS},
            )

    def save(self, **kwargs):
        """Save with the next version. Lock an existing row before you read and save it."""
        if not self._state.adding:
            self.version += 1
        if not self.is_active:
            self.active_since = None
        elif self.active_since is None:
            self.active_since, self.failing_since, self.off_reason = timezone.now(), None, ""
        self.events = [event for event in contract.WEBHOOK_EVENTS if event in self.events]
        super().save(**kwargs)

    @classmethod
    def make_secret(cls, form_uuid: UUID | None = None) -> str:
        """Return a new secret; for the same form (`mailboxes.staff.resubmission`), the same one."""
        if form_uuid is None:
            key = secrets.token_bytes(32)
        else:
            key = salted_hmac("mailboxes.webhook", form_uuid.bytes, algorithm="sha256").digest()
        return cls.SECRET_PREFIX + b64encode(key).decode()

    @classmethod
    def create(cls, account: Account, secret: str = "", **values) -> "WebhookEndpoint":
        """Create a webhook with this or a new secret, in a transaction. Raises ValidationError."""
        Account.objects.select_for_update(no_key=True).get(pk=account.pk)
        endpoint = cls(account=account, **values)
        endpoint.issue(secret)
        return endpoint

    def issue(self, secret: str = "") -> str:
        """Save a new webhook and return its secret: this or a new one. Raises ValidationError."""
        self.encrypt(secret or self.make_secret())
        self.full_clean()
        self.save()
        return self.secret

    @property
    def secret(self) -> str:
        """Return the newest secret. Raises UnknownKeyError."""
        return self.decrypt().split()[0]

    @property
    def signing_secrets(self) -> list[str]:
        """Return the secrets that sign now, the newest first. Raises UnknownKeyError."""
        newest, *previous = self.decrypt().split()
        is_valid = self.previous_until is not None and timezone.now() < self.previous_until
        return [newest, *previous] if is_valid else [newest]

    def rotate(self, secret: str = "") -> str:
        """Set and return this or a new secret. The one before signs too for ROTATION.

        The webhook must be locked. Raises UnknownKeyError.
        """
        new, old = secret or self.make_secret(), self.secret
        self.encrypt(f"{new} {old}")
        self.previous_until = timezone.now() + self.ROTATION
        self.save()
        return new

    def change(self, **values) -> None:
        """Set and save these fields. Raises ValidationError. The webhook must be locked."""
        for name, value in values.items():
            setattr(self, name, value)
        self.full_clean()
        self.save()

    def switch_off(self, reason: OffReason) -> None:
        self.is_active, self.off_reason = False, reason
        self.save()

    @property
    def gives_way(self) -> bool:
        """Return True if events for other webhooks are sent first."""
        return self.is_slow or self.failing_since is not None

    def start_turn(self, end: datetime) -> bool:
        """Store that an event is being sent; return False if another one is."""
        free = Q(sending_until=None) | Q(sending_until__lte=timezone.now())
        webhooks = WebhookEndpoint.objects.filter(free, pk=self.pk)
        return bool(webhooks.update(sending_until=end))

    def end_turn(self, end: datetime) -> None:
        WebhookEndpoint.objects.filter(pk=self.pk, sending_until=end).update(sending_until=None)

    def note_attempt(self, succeeded: bool, *, is_slow: bool = False) -> bool:
        """Store since when all attempts fail; return True if that is too long. Lock it first."""
        self.is_slow = is_slow
        if succeeded:
            self.failing_since = None
        else:
            self.failing_since = self.failing_since or timezone.now()
        WebhookEndpoint.objects.filter(pk=self.pk).update(
            failing_since=self.failing_since, is_slow=is_slow
        )
        since = self.failing_since
        return since is not None and timezone.now() - since >= self.FAILING_LIMIT


class WebhookDeliveryQuerySet(models.QuerySet):
    def expired(self):
        """Return those that are older than they are kept, and are not sent any more."""
        start = timezone.now() - WebhookDelivery.KEPT
        return self.filter(created_at__lte=start).exclude(state=WebhookDelivery.State.PENDING)

    def older_than(self, moment: datetime, uuid: UUID):
        """Return those that follow this time and UUID in a list with the newest first."""
        return self.filter(created_at__lte=moment).exclude(created_at=moment, uuid__gte=uuid)


class WebhookDelivery(EncryptedRow, models.Model):
    """An event for one webhook, and the attempts to send it; body and answers are encrypted."""

    class State(models.TextChoices):
        PENDING = "pending", _("Pending")
        DELIVERED = "delivered", _("Delivered")
        FAILED = "failed", _("Failed")

    ENCRYPTED_COLUMN = "content_sealed"
    KEPT = timedelta(days=30)
    MAX_ATTEMPTS_SHOWN = 20  # of an event that was sent again and again, the last ones
    ANSWERS_KEPT = 3  # the last ones; of each earlier answer, only START_KEPT
    START_KEPT = 100  # characters

    uuid = models.UUIDField(primary_key=True, default=uuid4, editable=False)
    endpoint = models.ForeignKey(
        WebhookEndpoint, on_delete=models.CASCADE, related_name="deliveries"
    )
    event = models.CharField(max_length=32)
    created_at = models.DateTimeField(default=timezone.now)
    state = models.CharField(max_length=16, choices=State, default=State.PENDING)
    content_sealed = models.TextField()
    attempts = models.PositiveIntegerField(default=0)
    tries = models.PositiveIntegerField(
        default=0, help_text="Attempts since it was last sent by hand."
    )
    attempted_at = models.DateTimeField(null=True)
    status = models.PositiveSmallIntegerField(null=True, help_text="Of the last answer.")
    next_attempt_at = models.DateTimeField(null=True)

    objects = WebhookDeliveryQuerySet.as_manager()

    class Meta:
        ordering = NEWEST_FIRST
        verbose_name = _("webhook delivery")
        verbose_name_plural = _("webhook deliveries")
        default_permissions = ()
        indexes = [
            models.Index(fields=["endpoint", *NEWEST_FIRST], name="deliveries_of_webhook"),
            models.Index(fields=["created_at"], name="deliveries_by_time"),
        ]

    def __str__(self):
        return f"{self.event} {self.uuid}"

    @property
    def owner(self) -> bytes:
        return self.uuid.bytes

    @property
    def is_due(self) -> bool:
        """Return True if it is sent at its next turn, or being sent."""
        due = self.next_attempt_at
        return self.state == self.State.PENDING and due is not None and due <= timezone.now()

    @classmethod
    def create(cls, endpoint: WebhookEndpoint, event: str, data: dict, at: datetime | None = None):
        """Store an event for a webhook, to be sent."""
        now = timezone.now()
        moment = (at or now).astimezone(UTC).isoformat().replace("+00:00", "Z")
        body = {"type": event, "timestamp": moment, "data": data}
        delivery = cls(endpoint=endpoint, event=event, created_at=now, next_attempt_at=now)
        delivery.set_content(json.dumps(body, ensure_ascii=False, separators=(",", ":")), [])
        delivery.save()
        return delivery

    def set_content(self, body: str, attempt_log: list[dict]) -> None:
        """Encrypt the body and the log of attempts, without saving."""
        content = {"body": body, "attempts": attempt_log}
        self.encrypt(json.dumps(content, ensure_ascii=False, separators=(",", ":")))

    @property
    def content(self) -> dict[str, Any]:
        """Return the `body` and the `attempts`, oldest first. Raises UnknownKeyError."""
        return json.loads(self.decrypt())

    def log_attempt(self, status: int | None, text: str) -> None:
        """Add an attempt and its answer, or the reason why there is none, without saving."""
        now, content = timezone.now(), self.content
        entry = {"at": now.isoformat(), "status": status, "answer": text}
        attempts = [*content["attempts"], entry][-self.MAX_ATTEMPTS_SHOWN :]
        for earlier in attempts[: -self.ANSWERS_KEPT]:
            earlier["answer"] = earlier["answer"][: self.START_KEPT]
        self.set_content(content["body"], attempts)
        self.attempts += 1
        self.tries += 1
        self.attempted_at, self.status = now, status
