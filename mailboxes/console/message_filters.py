"""Filters and selected rows of the table of messages, read from the query string."""

from datetime import UTC, datetime, time, timedelta

from django import forms
from django.db.models import Exists, OuterRef, Q
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from mailboxes.console.filters import ANY, TableFilter
from mailboxes.forms import AccountNameField
from mailboxes.models import Account, Mailbox, Message
from mailboxes.models.messages import NEWEST_FIRST
from mailboxes.models.searching import validate_search

# A search decrypts the transcriptions of this many messages at most, the newest ones.
MOST_SEARCHED = 10_000

HEARD = {"no": Q(heard_at=None), "yes": Q(heard_at__isnull=False)}


class DateInput(forms.DateInput):
    input_type = "date"


class MessageFilter(TableFilter):
    """The filters in the query string. Default: every present message, newest first."""

    q = forms.CharField(
        label=_("Search the messages"),
        validators=[validate_search],
        widget=forms.TextInput({"type": "search", "autocomplete": "off"}),
    )
    state = forms.ChoiceField(
        label=_("State"), choices=[("deleted", _("Deleted"))], widget=forms.HiddenInput
    )
    mailbox = forms.UUIDField(label=_("Mailbox"), widget=forms.HiddenInput)
    heard = forms.ChoiceField(
        label=_("Heard"), choices=[ANY, ("no", _("Unheard")), ("yes", _("Heard"))]
    )
    account = AccountNameField(label=_("Account"))
    customers = forms.BooleanField(label=_("and its customers"))
    since = forms.DateField(label=_("From (UTC)"), widget=DateInput)
    until = forms.DateField(label=_("Until (UTC)"), widget=DateInput)

    conditions = {"heard": HEARD}
    filter_names = ["mailbox", "heard", "account", "customers", "since", "until"]

    def __init__(self, data, user):
        super().__init__(data)
        self.may_listen = user.has_perm("mailboxes.listen_to_message")
        self.fields["q"].widget.attrs["placeholder"] = (
            _("Caller, or words of the message") if self.may_listen else _("Caller")
        )

    def get_value_label(self, name) -> str:
        if name == "mailbox" and self.is_valid():
            mailbox = Mailbox.objects.filter(pk=self.cleaned_data[name]).first()
            return mailbox.name if mailbox else self.data[name]
        return super().get_value_label(name)

    @property
    def ordering(self) -> list[str]:
        return ["-deleted_at", "-uuid"] if self.is_deleted else NEWEST_FIRST

    @cached_property
    def mailboxes(self):
        """Return the active mailboxes of the chosen account, or the one with the chosen UUID."""
        found, values = Mailbox.objects.active(), self.cleaned_data
        if account := values["account"]:
            accounts = Account.objects.tree(account) if values["customers"] else [account]
            found = found.filter(account__in=accounts)
        return found.filter(pk=values["mailbox"]) if values["mailbox"] else found

    @cached_property
    def unsearched(self):
        """Return the messages that match the filters, not the search; none if one is invalid."""
        if not self.is_valid():
            return Message.objects.none()
        values, messages = self.cleaned_data, Message.objects
        found = messages.deleted() if self.is_deleted else messages.active()
        if values["account"] or values["mailbox"]:
            found = found.filter(mailbox__in=self.mailboxes)
        else:
            # Not joined: SQLite would read all mailboxes first, and sort all messages.
            found = found.filter(Exists(self.mailboxes.filter(pk=OuterRef("mailbox"))))
        found = found.filter(HEARD.get(values["heard"], Q()))
        if values["since"]:
            found = found.filter(received_at__gte=start_of(values["since"]))
        if values["until"]:
            found = found.filter(received_at__lt=start_of(values["until"]) + timedelta(days=1))
        return found

    @cached_property
    def messages(self):
        """Return the matching messages in order, or none if a filter is invalid."""
        found = self.unsearched.defer("segments_sealed")
        if self.is_search:
            text = self.cleaned_data["q"]
            found = found.search_newest(
                text, MOST_SEARCHED, self.mailboxes, in_transcriptions=self.may_listen
            )
        return found.order_by(*self.ordering)

    @cached_property
    def is_search_limited(self) -> bool:
        """Return True if the search leaves out transcriptions of older messages."""
        older = self.unsearched.order_by(*NEWEST_FIRST)[MOST_SEARCHED : MOST_SEARCHED + 1]
        return self.is_search and bool(older.values_list("pk"))

    @property
    def most_searched(self) -> int:
        return MOST_SEARCHED


def start_of(day) -> datetime:
    return datetime.combine(day, time.min, UTC)
