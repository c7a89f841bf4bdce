"""Days are the contract's, in UTC and ISO 8601, whatever a database's own time zone and style of dates."""

from contextlib import closing
from datetime import UTC, datetime

import psycopg
import pytest

from mailboxes.models import Account, EmailRecipient, Mailbox
from tests.databases import default_database, on_postgres
from tests.server import Server
from tests.service import OverSocket

LATE = datetime(2026, 1, 2, 23, 30, tzinfo=UTC)  # the third, where the sun has risen
LIST = "/voip/mailbox"


def days_in(shown):
    return {shown["created_on"], shown["updated_on"]}


@pytest.mark.long
@on_postgres
def test_of_a_database_with_a_style_of_its_own(databases):
    url = databases.empty()
    name = url.rpartition("/")[2]
    with Server(url) as server:
        headers = server.prepare()
        with default_database(url):
            times = {"created_at": LATE, "updated_at": LATE}
            mailbox = Mailbox(account=Account.objects.get(), name="Sales", **times)
            Mailbox.objects.bulk_create([mailbox])
            EmailRecipient.objects.bulk_create(
                [EmailRecipient(mailbox=mailbox, email="ann@acme.example", **times)]
            )
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(f"ALTER DATABASE {name} SET timezone = 'Asia/Tokyo'")
            connection.execute(f"ALTER DATABASE {name} SET datestyle = 'German'")
        with closing(OverSocket(headers, server.port)) as service:
            for answer in (service.get(LIST).result[0], service.get(f"{LIST}/{mailbox.pk}").result):
                assert days_in(answer) == {"2026-01-02"}
                assert days_in(answer["email_recipients"][0]) == {"2026-01-02"}
