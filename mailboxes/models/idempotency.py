"""Stored answers to calls with an Idempotency-Key."""

from datetime import timedelta

from django.db import models
from django.utils import timezone

from mailboxes.models.accounts import Account
from mailboxes.models.encrypted import EncryptedRow


class IdempotentAnswerQuerySet(models.QuerySet):
    def current(self):
        return self.filter(created_at__gt=timezone.now() - IdempotentAnswer.MAX_AGE)

    def expired(self):
        return self.filter(created_at__lte=timezone.now() - IdempotentAnswer.MAX_AGE)

    def store(self, account, key, fingerprint, status, body):
        """Store the answer, in place of an expired one."""
        self.expired().filter(account=account, key=key).delete()
        answer = self.model(account=account, key=key, fingerprint=fingerprint, status=status)
        answer.body = body
        answer.save()
        return answer


class IdempotentAnswer(EncryptedRow, models.Model):
    """The answer to a call with an Idempotency-Key, which a repeated call gets again."""

    ENCRYPTED_COLUMN = "body_sealed"
    MAX_AGE = timedelta(days=1)

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="+")
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)
    status = models.PositiveSmallIntegerField()
    body_sealed = models.TextField()
    created_at = models.DateTimeField(default=timezone.now, db_index=True)

    objects = IdempotentAnswerQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "key"], name="key_once_per_account")
        ]

    def __str__(self):
        return f"{self.account}: {self.key}"

    @property
    def body(self) -> str:
        """Return the decrypted body, which may contain a pass code. Raises UnknownKeyError."""
        return self.decrypt()

    @body.setter
    def body(self, text: str) -> None:
        self.encrypt(text)

    @property
    def owner(self) -> bytes:
        return f"{self.account_id}:{self.key}".encode()
