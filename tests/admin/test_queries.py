"""The number of queries of the admin's lists."""

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from mailboxes.models import Account, ApiCredential, Mailbox, Message

LISTS = [
    ("/admin/auth/user/", {}),
    ("/admin/mailboxes/account/", {}),
    ("/admin/mailboxes/account/", {"q": "customer", "is_active__exact": "1"}),
    ("/admin/mailboxes/apicredential/", {}),
    ("/admin/mailboxes/apicredential/", {"q": "acme", "revoked": "no"}),
    ("/admin/mailboxes/mailbox/", {}),
    ("/admin/mailboxes/mailbox/", {"q": "example.com"}),
    ("/admin/mailboxes/mailbox/", {"state": "all", "pass_code": "yes", "recipients": "yes"}),
    ("/admin/mailboxes/mailbox/", {"transcribe__exact": "0", "weak": "no", "greeting": "no"}),
    ("/admin/mailboxes/mailbox/", {"_facets": "1"}),
    ("/admin/mailboxes/emailrecipient/", {}),
    ("/admin/mailboxes/emailrecipient/", {"q": "example.com"}),
    ("/admin/mailboxes/message/", {}),
    ("/admin/mailboxes/message/", {"q": "Ann", "heard": "no"}),
]


def add_rows(count, account):
    """Add this many rows to every list."""
    start = User.objects.count()
    for number in range(start, start + count):
        customer = Account.objects.create(name=f"customer-{number}", reseller=account)
        ApiCredential.objects.issue(account, f"api-{number}")
        mailbox = Mailbox.objects.create(account=customer, name="Sales", password="8305")
        mailbox.add_recipient("ann@example.com")
        Message.objects.create(mailbox=mailbox, caller_id_name="Ann", duration=1, size=1)
        User.objects.create_user(f"user-{number}")


def count_queries(staff, path, query):
    """Return the number of queries, and of rows in the list."""
    with CaptureQueriesContext(connection) as queries:
        page = staff.get(path, query)
    return len(queries), page.context["cl"].result_count


@pytest.mark.parametrize(("path", "query"), LISTS)
def test_query_count_does_not_grow_with_the_rows(staff, account, path, query):
    add_rows(3, account)
    queries, rows = count_queries(staff, path, query)
    add_rows(15, account)
    assert count_queries(staff, path, query) == (queries, rows + 15)
