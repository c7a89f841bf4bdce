"""Days are in UTC and ISO 8601, with any time zone and date style of the database."""

from contextlib import closing
from datetime import UTC, datetime

import psycopg
import pytest

from mailboxes.models import Account, EmailRecipient, Mailbox
from tests.databases import default_database, on_postgres
from tests.server import PreparedServer
from tests.service import OverSocket

LATE = datetime(2026, 1, 2, 23, 30, tzinfo=UTC)  # the next day in Tokyo
LIST = "/voip/mailbox"


def get_days(row):
    return {row["created_on"], row["updated_on"]}


@pytest.mark.long
@on_postgres
def test_dates_do_not_depend_on_the_databases_time_zone_and_date_style(databases):
    url = databases.empty()
    name = url.rpartition("/")[2]
    with PreparedServer(url) as server:
        headers = server.headers
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
                assert get_days(answer) == {"2026-01-02"}
                assert get_days(answer["email_recipients"][0]) == {"2026-01-02"}
