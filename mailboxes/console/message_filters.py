"""Filters and selected rows of the table of messages, read from the query string."""

import hashlib
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from urllib.parse import urlencode
from uuid import UUID
from zoneinfo import ZoneInfo

from django import forms
from django.core.exceptions import BadRequest, ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db.models import Exists, OuterRef, Q
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.functional import cached_property
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from mailboxes.console.filters import ANY, TableFilter, parse_uuids
from mailboxes.form_fields import AccountNameField
from mailboxes.models import Account, Mailbox, Message
from mailboxes.models.message_search import NEWEST_FIRST, has_name, is_in_mailbox_named
from mailboxes.models.searching import validate_search
from mailboxes.validators import parse_uuid

# A search decrypts the transcriptions of this many messages at most, the newest ones.
MOST_SEARCHED = 10_000

# Messages that are changed at once. Their mailboxes are locked meanwhile.
MOST_CHANGED = 1_000

# Dates that can be converted to every time zone.
DATES = [MinValueValidator(date(1900, 1, 1)), MaxValueValidator(date(2999, 12, 31))]

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
    mailbox = forms.CharField(
        label=_("Mailbox"),
        validators=[validate_search],
        widget=forms.TextInput({"autocomplete": "off", "placeholder": _("Name or UUID")}),
    )
    heard = forms.ChoiceField(
        label=_("Heard"), choices=[ANY, ("no", _("Unheard")), ("yes", _("Heard"))]
    )
    account = AccountNameField(label=_("Account"))
    customers = forms.BooleanField(label=_("and its customers"))
    since = forms.DateField(label=_("From"), widget=DateInput, validators=DATES)
    until = forms.DateField(label=_("Until"), widget=DateInput, validators=DATES)
    # The time zone of the dates: console.js sets that of the browser.
    zone = forms.CharField(label=_("Time zone"), widget=forms.HiddenInput)

    conditions = {"heard": HEARD}
    filter_names = ["mailbox", "heard", "account", "customers", "since", "until"]

    def __init__(self, data, user):
        super().__init__(data)
        self.may_listen = user.has_perm("mailboxes.listen_to_message")
        self.fields["q"].widget.attrs["placeholder"] = (
            _("Caller, or words of the message") if self.may_listen else _("Caller")
        )

    def clean_mailbox(self) -> UUID | str:
        """Return the UUID of a mailbox, words of its name, or an empty text."""
        try:
            return parse_uuid(self.cleaned_data["mailbox"])
        except ValidationError:
            return self.cleaned_data["mailbox"]

    def clean_zone(self) -> tzinfo:
        name = self.cleaned_data["zone"]
        try:
            return ZoneInfo(name) if name else UTC
        except (KeyError, ValueError, OSError):
            error = _("There is no time zone “%(name)s” on the server.")
            raise ValidationError(error, code="unknown", params={"name": name}) from None

    def clean(self):
        values = super().clean()
        since, until = values.get("since"), values.get("until")
        if since and until and since > until:
            self.add_error("until", _("Choose a day that is not before the one in “From”."))
        name = values.get("mailbox")
        is_name = isinstance(name, str) and name
        if is_name and not self.mailboxes.filter(has_name(name)).exists():
            error = _("There is no mailbox with “%(name)s” in its name.")
            self.add_error("mailbox", ValidationError(error, "unknown", {"name": name}))
        return values

    @cached_property
    def mailboxes(self):
        """Return the active mailboxes of the chosen account, or the one with the chosen UUID."""
        found, values = Mailbox.objects.active(), self.cleaned_data
        if account := values.get("account"):
            accounts = Account.objects.tree(account) if values["customers"] else [account]
            found = found.filter(account__in=accounts)
        return found.filter(pk=values["mailbox"]) if isinstance(values["mailbox"], UUID) else found

    @property
    def query(self) -> list[tuple[str, str]]:
        return leave_out_zone(super().query)

    def query_without(self, name) -> str:
        return "?" + urlencode(leave_out_zone([item for item in self.query if item[0] != name]))

    def get_value_label(self, name) -> str:
        if name == "mailbox" and self.is_valid():
            chosen = self.cleaned_data[name]
            is_uuid = isinstance(chosen, UUID)
            found = Mailbox.objects.filter(pk=chosen).first() if is_uuid else None
            return found.name if found else self.data[name]
        if name in ("since", "until"):
            zone = self.data.get("zone") or "UTC"
            return gettext("%(day)s (%(zone)s)") % {"day": self.data[name], "zone": zone}
        return super().get_value_label(name)

    @property
    def ordering(self) -> list[str]:
        return ["-deleted_at", "-uuid"] if self.is_deleted else NEWEST_FIRST

    @cached_property
    def unsearched(self):
        """Return the messages that match the filters, not the search; none if one is invalid."""
        if not self.is_valid():
            return Message.objects.none()
        values, messages = self.cleaned_data, Message.objects
        found = messages.deleted() if self.is_deleted else messages.active()
        if values["account"] or isinstance(values["mailbox"], UUID):
            found = found.filter(mailbox__in=self.mailboxes)
        else:
            # Not joined: SQLite would read all mailboxes first, and sort all messages.
            found = found.filter(Exists(self.mailboxes.filter(pk=OuterRef("mailbox"))))
        if isinstance(values["mailbox"], str) and values["mailbox"]:
            found = found.filter(is_in_mailbox_named(values["mailbox"], self.mailboxes))
        found = found.filter(HEARD.get(values["heard"], Q()))
        if values["since"]:
            found = found.filter(received_at__gte=start_of(values["since"], values["zone"]))
        if values["until"]:
            next_day = values["until"] + timedelta(days=1)
            found = found.filter(received_at__lt=start_of(next_day, values["zone"]))
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


class MessageSelection:
    """Selected messages: each `uuid=…`, or with `all=on` all that matched when shown.

    `filters` are those of the table, and `chosen` is what was selected in it.
    """

    def __init__(self, filters, chosen, user):
        self.table = MessageFilter(filters, user)
        self.is_all = chosen.get("all") == "on"
        self.shown_at = chosen.get("shown_at", "")
        self.uuids = [] if self.is_all else list(parse_uuids(chosen.getlist("uuid")))

    @property
    def query(self) -> list[tuple[str, str]]:
        if self.is_all:
            return [*self.table.query, ("all", "on"), ("shown_at", self.shown_at)]
        return [*self.table.query, *(("uuid", str(uuid)) for uuid in self.uuids)]

    @cached_property
    def pks(self) -> list:
        """Return the UUIDs of the selected messages, and one more than may be changed at once."""
        if not self.is_all:
            return self.uuids
        found = self.table.messages.filter(stored_at__lte=read_moment(self.shown_at))
        return list(found.values_list("pk", flat=True)[: MOST_CHANGED + 1])

    @property
    def present(self):
        """Return the selected messages that can be deleted, the newest first."""
        mailboxes = Mailbox.objects.active().filter(pk=OuterRef("mailbox"))
        found = Message.objects.active().filter(Exists(mailboxes), pk__in=self.pks)
        return found.order_by(*NEWEST_FIRST)

    @cached_property
    def versions(self) -> list[tuple]:
        return list(self.present.values_list("pk", "version"))

    @property
    def digest(self) -> str:
        """Return a hash of the messages that would be deleted, and of their versions."""
        rows = (f"{uuid} {version}" for uuid, version in self.versions)
        return hashlib.sha256("\n".join(rows).encode()).hexdigest()


def leave_out_zone(query: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Leave out the time zone if there are no dates."""
    has_dates = not {"since", "until"}.isdisjoint(dict(query))
    return [item for item in query if has_dates or item[0] != "zone"]


def start_of(day: date, zone: tzinfo) -> datetime:
    return datetime.combine(day, time.min, zone)


def read_moment(text) -> datetime:
    try:
        moment = parse_datetime(text)
    except ValueError:
        moment = None
    if moment is None or timezone.is_naive(moment):
        raise BadRequest
    return moment
