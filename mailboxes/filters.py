"""Filter conditions that the admin's and the console's lists of mailboxes share."""

from django.db.models import Exists, OuterRef, Q

from mailboxes.models import EmailRecipient

HAS_PASS_CODE = Q(password_sealed__isnull=False)
HAS_WEAK_PASS_CODE = Q(password_is_weak=True)
HAS_GREETING = Q(greeting__isnull=False)
HAS_RECIPIENTS = Q(Exists(EmailRecipient.objects.filter(mailbox=OuterRef("pk"))))
