"""Mailboxes as callers write them: what was sent is judged by the serializer, and saved."""

from collections.abc import Callable

from django.db import transaction

from mailboxes.api import representation
from mailboxes.api.serializers import MailboxSerializer
from mailboxes.models import Account, ApiCredential, Mailbox
from mailboxes.models.mailboxes import ChangedMeanwhileError
from mailboxes.validators import find_weakness


def created(account: Account, credential: ApiCredential, sent: dict) -> Mailbox:
    """Create a mailbox of the account. Raises ValidationError."""
    return save(MailboxSerializer(data=sent), account=account, credential=credential)


def updated(
    mailbox: Mailbox,
    credential: ApiCredential,
    sent: dict,
    partial: bool,
    check: Callable[[Mailbox], None] = lambda mailbox: None,
) -> Mailbox:
    """Update a mailbox that was read without a lock, once `check` has raised nothing.

    If another write came first, the mailbox is read again with a lock, checked and updated.
    Raises NotFound, ValidationError, and what `check` raises.
    """

    def update(mailbox: Mailbox) -> Mailbox:
        check(mailbox)
        serializer = MailboxSerializer(mailbox, data=sent, partial=partial)
        return save(serializer, credential=credential)

    try:
        return update(mailbox)
    except ChangedMeanwhileError:
        with transaction.atomic():
            account = mailbox.account_id
            Mailbox.objects.select_for_update().filter(account=account, pk=mailbox.pk).first()
            return update(representation.to_change(account, mailbox.pk))


def save(serializer: MailboxSerializer, **fields) -> Mailbox:
    serializer.is_valid(raise_exception=True)
    return serializer.save(**fields)


def warning(sent: dict) -> dict[str, str]:
    """The header that says what is weak about a pass code that was sent; none where it is good."""
    code = sent.get("password")
    why = code and find_weakness(code)
    return {"X-Pass-Code-Warning": why} if why else {}
