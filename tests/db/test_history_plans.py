"""Query plans of a long history: each page reads only its own rows, by an index."""

import re

from django.db import connection
from django.test.utils import CaptureQueriesContext

from mailboxes.models import Mailbox
from tests.conftest import headers_for
from tests.db.test_plans import explain
from tests.histories import rename_often
from tests.service import InProcess


def fill_histories(account) -> Mailbox:
    """Return a mailbox with a long history, among a hundred with short ones."""
    mailboxes = [Mailbox(account=account, name=f"Box {number}") for number in range(100)]
    for mailbox in mailboxes:
        mailbox.save()
        mailbox.add_recipient("ann@acme.example")
    long = mailboxes[50]
    rename_often(long, 3000)
    ann = long.email_recipients.get()
    for number in range(300):
        ann.email = f"{number}@acme.example"
        ann.save()
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")
    return long


def test_pages_are_read_by_their_index(account):
    mailbox = fill_histories(account)
    service = InProcess(headers_for(account))
    for cursor in (100, 3200):
        with CaptureQueriesContext(connection) as captured:
            answer = service.get(f"/voip/mailbox/{mailbox.pk}/history?limit=10&cursor={cursor}")
        assert len(answer.result) == 10
        *_others, own, recipients = [row["sql"] for row in captured]
        for query, index in (
            (own, "mailbox_history_by_version"),
            (recipients, "recipient_history_by_version"),
            (recipients, "history_of_recipient"),
        ):
            plan = explain(query)
            assert index in plan, plan
            assert not re.search(r"Seq Scan on mailboxes_hist|SCAN mailboxes_hist", plan), plan
