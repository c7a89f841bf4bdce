"""Creation and update of mailboxes by callers."""

from collections.abc import Callable

from django.db import transaction

from mailboxes.api import representation
from mailboxes.api.serializers import MailboxSerializer
from mailboxes.models import Account, ApiCredential, Mailbox
from mailboxes.models.mailboxes import ChangedMeanwhileError
from mailboxes.validators import find_weakness


def create_mailbox(account: Account, credential: ApiCredential, data: dict) -> Mailbox:
    return save(MailboxSerializer(data=data), account=account, credential=credential)


def update_mailbox(
    mailbox: Mailbox,
    credential: ApiCredential,
    data: dict,
    partial: bool,
    check: Callable[[Mailbox], None] = lambda mailbox: None,
) -> Mailbox:
    """Update a mailbox that was read without a lock, after calling `check` with it.

    If another write came first, the mailbox is read again with a lock, checked and updated.
    Raises NotFound, ValidationError, and any exception of `check`.
    """

    def update(mailbox: Mailbox) -> Mailbox:
        check(mailbox)
        serializer = MailboxSerializer(mailbox, data=data, partial=partial)
        return save(serializer, credential=credential)

    try:
        return update(mailbox)
    except ChangedMeanwhileError:
        with transaction.atomic():
            account = mailbox.account_id
            Mailbox.objects.select_for_update().filter(account=account, pk=mailbox.pk).first()
            return update(representation.fetch_to_change(account, mailbox.pk))


def save(serializer: MailboxSerializer, **fields) -> Mailbox:
    serializer.is_valid(raise_exception=True)
    return serializer.save(**fields)


def pass_code_warning(data: dict) -> dict[str, str]:
    """Return the header that names the weakness of a pass code in the body, if any."""
    code = data.get("password")
    why = code and find_weakness(code)
    return {"X-Pass-Code-Warning": why} if why else {}
