"""What the lookups of every engine have in common: which mailbox is meant, and what opens it by telephone."""

import logging

from django.core.exceptions import ValidationError

from mailboxes import validators
from mailboxes.encryption import UnknownKeyError
from mailboxes.models import Mailbox

log = logging.getLogger("mailboxes.engines")

# A mailbox without a pass code opens to nobody from afar: an empty one would open it to anybody.
UNDIALLABLE = "none"


def find_mailbox(credential, uuid: str, account: str | None = None):
    """The mailbox that a call is for, if the engine may read it and it is that account's; as a queryset."""
    try:
        pk = validators.parse_uuid(uuid)
    except ValidationError:
        return Mailbox.objects.none()
    mailbox = Mailbox.objects.readable_by(credential, mailboxes=pk).filter(pk=pk)
    if account is None:
        return mailbox
    return mailbox.with_account_name(account)


def pass_code(mailbox) -> str:
    """The mailbox's; one that no telephone can dial where there is none, or no key opens it."""
    try:
        return mailbox.password or UNDIALLABLE
    except UnknownKeyError as error:
        log.error("%s: %s", mailbox.pk, error)
        return UNDIALLABLE
