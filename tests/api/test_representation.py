"""JSON made from rows is the same as JSON made by Django REST Framework from models."""

from datetime import UTC, datetime

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase
from rest_framework import serializers

from mailboxes import contract
from mailboxes.models import Account, EmailRecipient, Mailbox
from tests.conftest import headers_for
from tests.service import InProcess

TIMES = st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 30), timezones=st.just(UTC))
NAMES = st.text(
    st.characters(codec="utf-8", exclude_categories=["C"]), min_size=1, max_size=100
).filter(str.strip)
RECIPIENTS = st.lists(
    st.fixed_dictionaries(
        {"created_at": TIMES, "updated_at": TIMES, "position": st.integers(0, 3)}
    ),
    max_size=4,
)
MAILBOXES = st.lists(
    st.tuples(
        st.fixed_dictionaries(
            {
                "name": NAMES,
                "password": st.none() | st.from_regex(r"[0-9]{4}", fullmatch=True),
                "greeting": st.none() | st.uuids(),
                "beep": st.booleans(),
                "play_caller_id": st.booleans(),
                "play_timestamp": st.booleans(),
                "transcribe": st.booleans(),
                "created_at": TIMES,
                "updated_at": TIMES,
                "version": st.integers(1, 2**31 - 1),
            }
        ),
        RECIPIENTS,
    ),
    max_size=5,
)

BODIES = st.fixed_dictionaries(
    {"name": NAMES},
    optional={
        "password": st.none() | st.from_regex(r"[0-9]{4}", fullmatch=True),
        "greeting": st.none() | st.uuids().map(str),
        "beep": st.booleans(),
        "play_caller_id": st.booleans(),
        "play_timestamp": st.booleans(),
        "transcribe": st.booleans(),
    },
)


class PlainRecipient(serializers.ModelSerializer):
    class Meta:
        model = EmailRecipient
        fields = contract.RECIPIENT_KEYS

    created_on = serializers.DateField()
    updated_on = serializers.DateField()


class PlainMailbox(serializers.ModelSerializer):
    class Meta:
        model = Mailbox
        fields = contract.MAILBOX_KEYS

    created_on = serializers.DateField()
    updated_on = serializers.DateField()
    email_recipients = PlainRecipient(many=True)
    password = serializers.CharField()


def serialize(mailboxes):
    """Return the serializers' JSON as bytes, so that a comparison covers the order of keys."""
    return orjson.dumps(PlainMailbox(mailboxes, many=True).data)


def read_result(answer):
    assert answer.status == 200
    return orjson.dumps(answer.result)


class TestAnswers(TestCase):
    def setUp(self):
        self.account = Account.objects.create(name="acme")
        self.service = InProcess(headers_for(self.account))

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(MAILBOXES)
    def test_json_from_the_database_is_the_same_as_the_serializers(self, examples):
        for values, recipients in examples:
            mailbox = Mailbox(account=self.account, **values)
            Mailbox.objects.bulk_create([mailbox])
            EmailRecipient.objects.bulk_create(
                EmailRecipient(mailbox=mailbox, email=f"{number}@acme.example", **fields)
                for number, fields in enumerate(recipients)
            )
        mailboxes = Mailbox.objects.prefetch_related("email_recipients")
        self.compare(mailboxes.order_by("created_at", "uuid"), "")
        self.compare(mailboxes.order_by("-updated_at", "-uuid"), "?order=-updated")
        self.compare(mailboxes.order_by("name", "uuid")[:2], "?order=name&limit=2")
        for mailbox in mailboxes:
            answer = self.service.get(f"/voip/mailbox/{mailbox.uuid}")
            assert b"[" + read_result(answer) + b"]" == serialize([mailbox])
            assert answer.headers["etag"] == f'"{mailbox.version}"'

    def compare(self, mailboxes, query):
        assert read_result(self.service.get(f"/voip/mailbox{query}")) == serialize(mailboxes)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(BODIES, RECIPIENTS, BODIES, BODIES)
def test_answer_to_a_write_is_the_same_as_the_next_get(service, post, recipients, put, patch):
    first = service.post("/voip/mailbox", post)
    path = f"/voip/mailbox/{first.result['uuid']}"
    read = service.get(path)
    # The answer to a POST has no updated_on.
    expected = {key: read.result[key] for key in read.result if key != "updated_on"}
    assert orjson.dumps(first.result) == orjson.dumps(expected)
    assert first.headers["etag"] == read.headers["etag"]
    EmailRecipient.objects.bulk_create(
        EmailRecipient(mailbox_id=first.result["uuid"], email=f"{number}@acme.example", **fields)
        for number, fields in enumerate(recipients)
    )
    for method, body in (("PUT", put), ("PATCH", patch)):
        answer, read = service.call(method, path, body), service.get(path)
        assert answer.body == read.body
        assert answer.headers["etag"] == read.headers["etag"]
