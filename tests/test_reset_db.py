"""The reset of the test database."""

import pytest
from django.contrib.auth.models import Group, Permission

from mailboxes.models import Account
from tests.reset_db import DatabaseReset


@pytest.mark.django_db
def test_rows_of_a_test_are_removed_and_rows_of_migrations_restored():
    reset_database = DatabaseReset()
    groups = {group.name: {*group.permissions.all()} for group in Group.objects.all()}
    Account.objects.create(name="acme")
    Group.objects.get(name="Viewer").permissions.clear()
    Group.objects.filter(name="Support").update(name="Helpers")
    Group.objects.create(name="Another")
    reset_database()
    assert not Account.objects.exists()
    assert {group.name: {*group.permissions.all()} for group in Group.objects.all()} == groups
    assert Permission.objects.exists()
