"""The form of a webhook."""

from django import forms
from django.utils.translation import gettext_lazy as _

from mailboxes.contract import WEBHOOK_EVENTS
from mailboxes.form_fields import NO_CORRECTION
from mailboxes.models import WebhookEndpoint
from mailboxes.own_changes import OwnChangesForm


class WebhookForm(OwnChangesForm):
    """A webhook; its account is set on `instance`."""

    events = forms.MultipleChoiceField(
        label=_("Events"),
        choices=[(event, event) for event in WEBHOOK_EVENTS],
        widget=forms.CheckboxSelectMultiple,
    )

    class Meta:
        model = WebhookEndpoint
        fields = ["url", "events", "include_customers", "is_active"]
        widgets = {"url": forms.TextInput({"inputmode": "url"} | NO_CORRECTION)}
        help_texts = {
            "url": _(
                "Events are sent to it by POST. It begins with https://, or with http:// if the "
                "service itself runs without HTTPS."
            )
        }
