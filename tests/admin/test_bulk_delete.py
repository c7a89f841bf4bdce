"""Deletion of several rows from a list of the admin."""

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.models import Group, User
from django.urls import reverse
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

from mailboxes.models import EmailRecipient, Mailbox


def create_row(model, account):
    match model.__name__:
        case "AccessAttempt":
            return AccessAttempt.objects.create(username="rosa", failures_since_start=5)
        case "EmailRecipient":
            mailbox = Mailbox.objects.create(account=account, name="Sales")
            return mailbox.add_recipient("ann@acme.example")
        case "Group":
            return Group.objects.create(name="Operators")
        case "Mailbox":
            return Mailbox.objects.create(account=account, name="Sales")
        case "User":
            return User.objects.create_user("hugo")
        case _:
            return model.objects.create(user=User.objects.create_user("hugo"), name="Phone")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "model", [AccessAttempt, EmailRecipient, Group, Mailbox, StaticDevice, TOTPDevice, User]
)
def test_selected_row_is_deleted_after_a_confirmation(staff, account, model):
    row = create_row(model, account)
    address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    chosen = {"action": "delete_selected", "_selected_action": str(row.pk)}
    page = staff.post(address, chosen)
    assert (page.status_code, str(row.pk) in page.content.decode()) == (200, True)
    assert staff.post(address, chosen | {"post": "yes"}).status_code == 302
    remaining = Mailbox.objects.active() if model is Mailbox else model.objects
    assert not remaining.filter(pk=row.pk).exists()
    # The second of two tabs. The rows are locked until the page is written.
    assert staff.post(address, chosen).status_code == 200
