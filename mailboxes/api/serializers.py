"""Serializers of mailboxes, recipients and changes."""

from functools import cache

from rest_framework import serializers

from mailboxes import contract, validators
from mailboxes.models import EmailRecipient, Mailbox


class TextField(serializers.CharField):
    """Refuse numbers, which DRF's own field would accept as text."""

    default_error_messages = {"invalid": "Use text."}

    def to_internal_value(self, data):
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class TrueOrFalseField(serializers.BooleanField):
    """Accept true and false only; DRF's own field accepts "yes" and 1 too."""

    default_error_messages = {"invalid": "Use true or false."}

    def to_internal_value(self, data):
        if not isinstance(data, bool):
            self.fail("invalid")
        return data


class UUIDTextField(serializers.UUIDField):
    """Accept a UUID as text only; DRF's own field accepts numbers too."""

    def to_internal_value(self, data):
        return validators.parse_uuid(data if isinstance(data, str) else "")


NEW = Mailbox()  # stands for a mailbox that does not exist yet
LOST = "The stored pass code cannot be decrypted: send a new one."

CREATED_ON = "The day it was created, in UTC"
UPDATED_ON = "The day it was last updated, in UTC"


class DatesSerializer(serializers.ModelSerializer):
    """Base that shows a recipient's times as dates in UTC."""

    created_on = serializers.DateField(read_only=True, help_text=CREATED_ON)
    updated_on = serializers.DateField(read_only=True, help_text=UPDATED_ON)

    def to_representation(self, instance):
        result = super().to_representation(instance)
        if self.context["view"].action == "create":
            del result["updated_on"]  # it has never been updated
        return result


class RecipientOfMailboxSerializer(DatesSerializer):
    """A recipient inside its mailbox, without the email address, which its own path has."""

    class Meta:
        model = EmailRecipient
        fields = contract.RECIPIENT_KEYS


class RecipientSerializer(DatesSerializer):
    """A recipient at its own path. Unlike inside its mailbox, it has the email address."""

    email = TextField(help_text="The address that messages are sent to")

    class Meta:
        model = EmailRecipient
        fields = ["created_on", "email", "updated_on", "uuid"]

    def create(self, validated_data):
        return validated_data["mailbox"].add_recipient(validated_data["email"])

    def update(self, recipient, validated_data):
        recipient.email = validated_data["email"]
        recipient.full_clean()
        recipient.save()
        return recipient


class AuthorSerializer(serializers.Serializer):
    """The author of a change: a credential of an account or engine, staff, or the service."""

    account = serializers.CharField(
        source="credential.account.name",
        default=None,
        allow_null=True,
        help_text="The account that called the API; null for an engine that serves all accounts",
    )
    credential = serializers.CharField(
        source="credential.name",
        default=None,
        allow_null=True,
        help_text="The name of its credential",
    )
    kind = serializers.SerializerMethodField(help_text="credential, engine, staff or service")

    def get_kind(self, change) -> str:
        if change.credential:
            return "engine" if change.credential.is_engine else "credential"
        return "staff" if change.user else "service"


class ChangeSerializer(serializers.Serializer):
    """One entry of a mailbox's history, in an answer."""

    action = serializers.CharField(
        help_text="created, changed, deleted, restored, "
        "recipient added, recipient changed or recipient removed"
    )
    after = serializers.DictField(help_text="The changed fields after the change")
    at = serializers.DateTimeField(help_text="The time of the change, in UTC")
    before = serializers.DictField(help_text="The same fields before the change")
    by = AuthorSerializer(source="*", help_text="The author of the change")


@cache
def shared_fields(partial: bool) -> dict[str, serializers.Field]:
    """Return a mailbox's fields, which all calls share, because building them takes long."""
    return dict(super(MailboxSerializer, MailboxSerializer(partial=partial)).fields)


# Not a ModelSerializer, which would build the fields anew for each call.
class MailboxSerializer(serializers.Serializer):
    """A mailbox. A field that a POST or PUT leaves out gets its default."""

    beep = TrueOrFalseField(
        default=True, help_text="Should the system play the 'beep' sound after the greeting"
    )
    created_on = serializers.DateField(read_only=True, help_text=CREATED_ON)
    email_recipients = RecipientOfMailboxSerializer(
        many=True, read_only=True, help_text="The recipients of its messages by email"
    )
    greeting = UUIDTextField(
        allow_null=True, default=None, help_text="The UUID of the Sound used as a greeting"
    )
    name = TextField(
        max_length=contract.MAX_NAME_LENGTH,
        validators=[validators.validate_printable],
        help_text="The name of this Mailbox",
    )
    password = TextField(
        allow_null=True,
        default=None,
        trim_whitespace=False,
        help_text="The 4 digit pass code required to access this mailbox",
    )
    play_caller_id = TrueOrFalseField(
        default=False,
        help_text="Should the voicemail system announce the caller ID of the message",
    )
    play_timestamp = TrueOrFalseField(
        default=False,
        help_text="Should the voicemail system announce the date and time the message was received",
    )
    transcribe = TrueOrFalseField(
        default=False,
        help_text="When set to true, incoming messages will be transcribed by the system",
    )
    updated_on = serializers.DateField(read_only=True, help_text=UPDATED_ON)
    uuid = serializers.UUIDField(read_only=True)

    @property
    def fields(self):
        return shared_fields(self.partial)

    def validate_password(self, code):
        mailbox = self.instance or NEW
        if code is not None:
            mailbox.check_pass_code(code, by_reader=True)
        elif mailbox.has_lost_pass_code:
            # It was shown as null, so a caller that sends null back does not mean to remove it.
            raise serializers.ValidationError(LOST, code="lost")
        return code

    def create(self, validated_data):
        return Mailbox.create(**validated_data)

    def update(self, mailbox, validated_data):
        credential = validated_data.pop("credential")
        mailbox.change(validated_data, credential)
        return mailbox
