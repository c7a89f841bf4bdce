"""Mailboxes as callers write them: what was sent is judged by the serializer, and saved."""

from collections.abc import Callable

from django.db import transaction

from mailboxes.api import reading
from mailboxes.api.serializers import MailboxSerializer
from mailboxes.models import Account, ApiCredential, ChangedMeanwhileError, Mailbox
from mailboxes.replica import PRIMARY
from mailboxes.validators import weakness


def created(account: Account, sent: dict, by: ApiCredential | None = None) -> Mailbox:
    """A new mailbox of the account. Raises ValidationError; IntegrityError if `by` was remembered and has changed."""
    return saved(MailboxSerializer(data=sent), account=account, by=by)


def changed(
    account: Account,
    uuid,
    sent: dict,
    partial: bool,
    judge: Callable | None = None,
    by: ApiCredential | None = None,
) -> Mailbox:
    """The account's mailbox, as it is now. Raises NotFound, ValidationError, and what `judge` does of it as it was.

    It is read, and written if it is still as it was read: nobody waits. If not, it is read again,
    and held; but of who was remembered, and may have changed as well: ChangedMeanwhileError.
    """

    def change() -> Mailbox:
        mailbox = reading.to_change(PRIMARY, account.pk, uuid)
        if judge:
            judge(mailbox)
        return saved(MailboxSerializer(mailbox, data=sent, partial=partial), by=by)

    try:
        return change()
    except ChangedMeanwhileError:
        if by and by.is_remembered:  # who may not write any more waits for nobody
            raise
        with transaction.atomic():
            account.mailboxes.select_for_update().filter(pk=uuid).first()
            return change()


def saved(serializer: MailboxSerializer, **besides) -> Mailbox:
    serializer.is_valid(raise_exception=True)
    return serializer.save(**besides)


def warning(sent: dict) -> dict[str, str]:
    """The header that says what is weak about a pass code that was sent; none where it is good."""
    code = sent.get("password")
    why = code and weakness(code)
    return {"X-Pass-Code-Warning": why} if why else {}
