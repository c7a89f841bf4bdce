"""Accounts: their tree, and the rules of the database."""

import pytest
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction

from mailboxes.models import Account, Mailbox

pytestmark = pytest.mark.django_db


@pytest.fixture
def tree():
    """acme > child > grandchild, and a stranger."""
    acme = Account.objects.create(name="acme")
    child = Account.objects.create(name="child", reseller=acme)
    grandchild = Account.objects.create(name="grandchild", reseller=child)
    return acme, child, grandchild, Account.objects.create(name="stranger")


def test_tree_returns_the_account_and_customers_at_any_depth(tree):
    acme, child, grandchild, stranger = tree
    assert set(Account.objects.tree(acme)) == {acme, child, grandchild}
    assert set(Account.objects.tree(child)) == {child, grandchild}
    assert set(Account.objects.tree(stranger)) == {stranger}


def test_below_returns_customers_at_any_depth(tree):
    acme, child, grandchild, stranger = tree
    assert set(Account.objects.below(acme)) == {child, grandchild}
    assert not Account.objects.below(stranger)


def test_resellers_returns_resellers_at_any_distance(tree):
    acme, child, grandchild, _ = tree
    assert set(Account.objects.resellers(grandchild)) == {child, acme}
    assert not Account.objects.resellers(acme)


def test_chain_returns_resellers_topmost_first(tree):
    acme, child, grandchild, _ = tree
    assert grandchild.chain() == [acme, child]
    assert acme.chain() == []


def test_tree_can_be_a_subquery(tree):
    acme, child, *_ = tree
    mailbox = Mailbox.objects.create(account=child, name="Sales")
    assert Mailbox.objects.get(account__in=Account.objects.tree(acme)) == mailbox


def test_tree_order_has_customers_below_their_reseller(tree):
    acme = tree[0]
    Account.objects.create(name="acme-north")
    Account.objects.create(name="baker", reseller=acme)
    assert [(row.lineage, row.depth) for row in Account.objects.in_tree_order()] == [
        ("acme", 0),
        ("acme / baker", 1),
        ("acme / child", 1),
        ("acme / child / grandchild", 2),
        ("acme-north", 0),
        ("stranger", 0),
    ]


def test_tree_order_can_be_limited_to_some_resellers(tree):
    acme, child, *_ = tree
    below = Account.objects.in_tree_order([acme, child])
    assert [(row.lineage, row.depth) for row in below] == [
        ("acme / child", 1),
        ("acme / child / grandchild", 2),
    ]


def test_account_as_its_own_reseller_is_refused(tree):
    acme = tree[0]
    acme.reseller = acme
    with pytest.raises(ValidationError):
        acme.full_clean()
    with pytest.raises(IntegrityError), transaction.atomic():
        acme.save()


def test_longer_loop_of_resellers_is_refused(tree):
    acme, _, grandchild, _ = tree
    acme.reseller = grandchild
    with pytest.raises(ValidationError, match="grandchild is this account or its customer"):
        acme.full_clean()


def test_customer_is_found_at_any_depth(tree):
    acme = above = tree[0]
    for number in range(30):
        above = Account.objects.create(name=f"level-{number}", reseller=above)
        assert acme.get_customer(above.name) == above
    for name in ("stranger", "nobody", "not a name"):
        with pytest.raises(Account.DoesNotExist):
            acme.get_customer(name)
    with pytest.raises(Account.DoesNotExist):
        above.get_customer("acme")


def test_tree_queries_end_in_spite_of_a_loop_of_resellers(tree):
    acme, child, grandchild, stranger = tree
    Account.objects.filter(pk=acme.pk).update(reseller=grandchild)
    assert set(Account.objects.tree(acme)) == {acme, child, grandchild}
    assert set(Account.objects.resellers(acme)) == {acme, child, grandchild}
    assert child.chain() == [child, grandchild, acme]
    assert [row.name for row in Account.objects.in_tree_order()] == ["stranger"]
    assert acme.get_customer("grandchild") == grandchild
    with pytest.raises(Account.DoesNotExist):
        stranger.get_customer("grandchild")


@pytest.mark.parametrize("name", ["Ab!", "ab", "x" * 65, "abc\n"])
def test_database_refuses_a_wrong_account_name(db, name):
    with pytest.raises(Exception, match=r"account_name_is_plain|too long"), transaction.atomic():
        Account.objects.create(name=name)


def test_second_account_with_the_same_name_is_refused(tree):
    with pytest.raises(IntegrityError), transaction.atomic():
        Account.objects.create(name="acme")
