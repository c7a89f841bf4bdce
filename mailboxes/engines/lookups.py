"""Lookups that all engines share: a mailbox, and its pass code."""

import logging

from django.core.exceptions import ValidationError

from mailboxes import validators
from mailboxes.encryption import UnknownKeyError
from mailboxes.models import Mailbox

log = logging.getLogger("mailboxes.engines")

# Stands for a missing pass code, and refuses remote access: an empty one would allow it to everyone.
UNDIALLABLE = "none"


def find_mailbox(credential, uuid: str, account: str | None = None):
    """Return a queryset of the mailbox, if the engine may read it and the account matches."""
    try:
        pk = validators.parse_uuid(uuid)
    except ValidationError:
        return Mailbox.objects.none()
    found = Mailbox.objects.readable_by(credential, pk=pk)
    return found if account is None else found.with_account_name(account)


def get_pass_code(mailbox) -> str:
    """Return the pass code, or UNDIALLABLE if there is none or it cannot be decrypted."""
    try:
        return mailbox.password or UNDIALLABLE
    except UnknownKeyError as error:
        log.error("%s: %s", mailbox.pk, error)
        return UNDIALLABLE
