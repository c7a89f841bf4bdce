"""The contract's shapes: a mailbox and a recipient, as they are read and as they are written."""

import re
from uuid import UUID

from rest_framework import serializers

from mailboxes import contract, validators
from mailboxes.models import EmailRecipient, Mailbox

UUID_TEXT = re.compile(r"\A[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z", re.IGNORECASE)


class TextField(serializers.CharField):
    """Text only: DRF's own field takes a number for its digits."""

    default_error_messages = {"invalid": "Use text."}

    def to_internal_value(self, data):
        if not isinstance(data, str):
            self.fail("invalid")
        return super().to_internal_value(data)


class TrueOrFalseField(serializers.BooleanField):
    """JSON's true or false only: DRF's own field takes "yes" and 1 too."""

    default_error_messages = {"invalid": "Use true or false."}

    def to_internal_value(self, data):
        if not isinstance(data, bool):
            self.fail("invalid")
        return data


class UUIDTextField(serializers.UUIDField):
    """Text of 8-4-4-4-12 hexadecimal digits, either case: DRF's own field takes numbers, urn: and braces too."""

    default_error_messages = {
        "invalid": "Use a UUID, such as 63e54af8-07b5-4fd2-b15b-f4c31a82ca0b."
    }

    def to_internal_value(self, data):
        if not (isinstance(data, str) and UUID_TEXT.match(data)):
            self.fail("invalid")
        return UUID(data)


class PassCodeField(TextField):
    """Four ASCII digits, exactly as sent: nothing is trimmed."""

    def __init__(self, **kwargs):
        super().__init__(
            trim_whitespace=False, validators=[validators.validate_pass_code], **kwargs
        )


class DatesSerializer(serializers.ModelSerializer):
    """What every row shows of its times: dates, UTC."""

    created_on = serializers.DateField(read_only=True)
    updated_on = serializers.DateField(read_only=True)

    def to_representation(self, instance):
        """A 201 answer has no `updated_on`: what was created has never been updated."""
        shown = super().to_representation(instance)
        if self.context["view"].action == "create":
            del shown["updated_on"]
        return shown


class RecipientOfMailboxSerializer(DatesSerializer):
    """A recipient inside its mailbox: the address is served by the recipients' own paths."""

    class Meta:
        model = EmailRecipient
        fields = ["created_on", "updated_on", "uuid"]


class RecipientSerializer(DatesSerializer):
    email = TextField()

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


class MailboxSerializer(DatesSerializer):
    """A mailbox. A field left out of a whole object goes back to its default."""

    email_recipients = RecipientOfMailboxSerializer(many=True, read_only=True)
    name = TextField(
        max_length=contract.MAX_NAME_LENGTH, validators=[validators.validate_printable]
    )
    password = PassCodeField(allow_null=True, default=None)
    greeting = UUIDTextField(allow_null=True, default=None)
    beep = TrueOrFalseField(default=True)
    play_caller_id = TrueOrFalseField(default=False)
    play_timestamp = TrueOrFalseField(default=False)
    transcribe = TrueOrFalseField(default=False)

    class Meta:
        model = Mailbox
        fields = contract.MAILBOX_KEYS
