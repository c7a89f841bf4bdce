from datetime import UTC, datetime, timedelta

import pytest
from django.core.exceptions import FieldError, ValidationError
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.utils import timezone

from mailboxes.models import Account, ApiCredential, EmailRecipient, Mailbox
from tests.service import shows

pytestmark = pytest.mark.django_db


@pytest.fixture
def tree():
    """acme > child > grandchild, and a stranger."""
    acme = Account.objects.create(name="acme")
    child = Account.objects.create(name="child", reseller=acme)
    grandchild = Account.objects.create(name="grandchild", reseller=child)
    return acme, child, grandchild, Account.objects.create(name="stranger")


@pytest.fixture
def mailbox(account):
    return Mailbox.objects.create(account=account, name="Sales", password="4829")


def refused_by_the_database(change):
    with pytest.raises(IntegrityError), transaction.atomic():
        change()


# --- Accounts ---------------------------------------------------------------


def test_the_tree_of_an_account_is_itself_and_all_below(tree):
    acme, child, grandchild, stranger = tree
    assert set(Account.objects.tree(acme)) == {acme, child, grandchild}
    assert set(Account.objects.tree(child)) == {child, grandchild}
    assert set(Account.objects.tree(stranger)) == {stranger}


def test_below_an_account_are_its_customers_and_theirs(tree):
    acme, child, grandchild, stranger = tree
    assert set(Account.objects.below(acme)) == {child, grandchild}
    assert not Account.objects.below(stranger)


def test_the_resellers_of_an_account_are_all_above(tree):
    acme, child, grandchild, _ = tree
    assert set(Account.objects.resellers(grandchild)) == {child, acme}
    assert not Account.objects.resellers(acme)


def test_the_chain_of_an_account_is_all_above_the_topmost_first(tree):
    acme, child, grandchild, _ = tree
    assert grandchild.chain() == [acme, child]
    assert acme.chain() == []


def test_a_tree_serves_in_other_queries(tree):
    acme, child, *_ = tree
    mailbox = Mailbox.objects.create(account=child, name="Sales")
    assert Mailbox.objects.get(account__in=Account.objects.tree(acme)) == mailbox


def test_tree_order_puts_customers_right_below_their_reseller(tree):
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


def test_tree_order_of_one_tree_alone(tree):
    acme, child, *_ = tree
    below = Account.objects.in_tree_order([acme, child])
    assert [(row.lineage, row.depth) for row in below] == [
        ("acme / child", 1),
        ("acme / child / grandchild", 2),
    ]


def test_an_account_is_not_its_own_reseller(tree):
    acme = tree[0]
    acme.reseller = acme
    with pytest.raises(ValidationError):
        acme.full_clean()
    refused_by_the_database(acme.save)


def test_a_longer_loop_is_refused(tree):
    acme, _, grandchild, _ = tree
    acme.reseller = grandchild
    with pytest.raises(ValidationError, match="grandchild is this account or its customer"):
        acme.full_clean()


def test_a_loop_that_got_in_all_the_same_ends_every_walk(tree):
    acme, child, grandchild, _ = tree
    Account.objects.filter(pk=acme.pk).update(reseller=grandchild)
    assert set(Account.objects.tree(acme)) == {acme, child, grandchild}
    assert set(Account.objects.resellers(acme)) == {acme, child, grandchild}
    assert child.chain() == [child, grandchild, acme]
    assert [row.name for row in Account.objects.in_tree_order()] == ["stranger"]


@pytest.mark.parametrize("name", ["Ab!", "ab", "x" * 65, "abc\n"])
def test_the_database_refuses_a_wrong_account_name(db, name):
    with pytest.raises(Exception, match=r"account_name_is_plain|too long"), transaction.atomic():
        Account.objects.create(name=name)


def test_two_accounts_of_one_name_are_refused(tree):
    refused_by_the_database(lambda: Account.objects.create(name="acme"))


# --- Credentials --------------------------------------------------------------


def test_a_credential_is_found_by_its_secret_and_names(account):
    credential, secret = ApiCredential.objects.issue(account, "api")
    assert ApiCredential.objects.authenticate(secret, "acme", "api") == credential
    assert ApiCredential.objects.authenticate(secret) == credential
    assert ApiCredential.objects.authenticate(secret, "acme", "other") is None
    assert ApiCredential.objects.authenticate(secret + "x", "acme", "api") is None


def test_a_secret_has_256_bits_and_no_two_are_alike(account):
    secrets = {ApiCredential.make_secret() for _ in range(100)}
    assert len(secrets) == 100
    assert {len(secret) for secret in secrets} == {len("mbx_") + 43}


def test_one_name_stands_once_per_account(account, stranger):
    ApiCredential.objects.issue(account, "api")
    ApiCredential.objects.issue(stranger, "api")
    with pytest.raises(ValidationError, match="has a credential of that name already"):
        ApiCredential.objects.issue(account, "api")
    refused_by_the_database(
        lambda: ApiCredential.objects.create(account=account, name="api", secret_sha256="x")
    )


def test_revoking_again_keeps_the_first_time(account):
    credential, secret = ApiCredential.objects.issue(account, "api")
    credential.revoke()
    first = credential.revoked_at
    credential.revoke()
    assert ApiCredential.objects.get().revoked_at == first
    assert ApiCredential.objects.authenticate(secret) is None


@pytest.mark.parametrize(
    ("networks", "address", "allowed"),
    [
        ("", "203.0.113.9", True),
        ("203.0.113.0/24", "203.0.113.9", True),
        ("203.0.113.0/24", "203.0.114.9", False),
        ("2001:db8::/32", "2001:db8::1", True),
        ("2001:db8::/32", "203.0.113.9", False),
        ("203.0.113.0/24", "", False),
        ("203.0.113.0/24", "nonsense", False),
    ],
)
def test_networks(networks, address, allowed):
    assert ApiCredential(networks=networks).allows(address) is allowed


def test_an_expiry_is_the_moment_it_ends(account):
    soon = timezone.now() + timedelta(minutes=1)
    credential, _ = ApiCredential.objects.issue(account, "api", expires_at=soon)
    assert credential.is_usable
    credential.expires_at = timezone.now()
    assert not credential.is_usable


def test_what_has_expired_already_is_not_issued(account):
    with pytest.raises(ValidationError, match="This time is past"):
        ApiCredential.objects.issue(account, "api", expires_at=timezone.now())


# --- Mailboxes ----------------------------------------------------------------


def test_the_pass_code_is_sealed_in_the_database_and_in_history(mailbox):
    with connection.cursor() as cursor:
        for table in ("mailboxes_mailbox", "mailboxes_historicalmailbox"):
            cursor.execute(f"SELECT * FROM {table}")
            assert not shows(cursor.fetchall(), "4829")
    assert Mailbox.objects.get().password == "4829"
    assert mailbox.history.get().password == "4829"


def test_a_stolen_ciphertext_is_no_use_in_another_row(mailbox, account):
    other = Mailbox.objects.create(account=account, name="Support", password="7302")
    Mailbox.objects.filter(pk=other.pk).update(password_sealed=mailbox.password_sealed)
    with pytest.raises(Exception, match="cannot be decrypted"):
        _ = Mailbox.objects.get(pk=other.pk).password


def test_a_pass_code_cannot_be_looked_up_by(mailbox):
    with pytest.raises(FieldError):
        Mailbox.objects.filter(password="4829")


def test_a_weak_pass_code_is_marked_as_it_is_set(mailbox):
    assert not mailbox.password_is_weak
    mailbox.password = "1234"
    assert mailbox.password_is_weak
    mailbox.password = None
    assert (mailbox.password_is_weak, mailbox.password_sealed) == (False, None)


def test_each_save_is_one_version_more(mailbox):
    mailbox.save()
    mailbox.save()
    mailbox.refresh_from_db()
    assert mailbox.version == 3


def test_what_is_saved_was_updated_now(account):
    long_ago = datetime(2023, 6, 2, tzinfo=UTC)
    mailbox = Mailbox.objects.create(account=account, name="Sales", created_at=long_ago)
    assert mailbox.updated_at == long_ago
    mailbox.save()
    assert mailbox.updated_at > long_ago


def test_deleting_is_soft_and_restoring_brings_it_back(mailbox):
    mailbox.soft_delete()
    assert not Mailbox.objects.active().exists()
    mailbox.restore()
    assert Mailbox.objects.active().get() == mailbox
    assert mailbox.history.count() == 3


def test_doing_either_twice_changes_nothing_more(mailbox):
    mailbox.restore()
    mailbox.soft_delete()
    mailbox.soft_delete()
    assert mailbox.history.count() == 2


@pytest.mark.parametrize("name", ["", "x" * 101])
def test_the_database_refuses_a_name_of_a_wrong_length(account, name):
    with pytest.raises(Exception, match=r"mailbox_name_length|too long"), transaction.atomic():
        Mailbox.objects.create(account=account, name=name)


def test_an_account_with_mailboxes_cannot_be_deleted(mailbox, account):
    with pytest.raises(Exception, match="protected"):
        account.delete()


# --- Recipients ---------------------------------------------------------------


def test_the_database_holds_an_address_once_per_mailbox_whatever_its_case(mailbox):
    mailbox.add_recipient("pete@acme.example")
    refused_by_the_database(
        lambda: EmailRecipient.objects.create(mailbox=mailbox, email="PETE@acme.example")
    )


def test_the_model_says_so_at_the_field(mailbox):
    mailbox.add_recipient("pete@acme.example")
    with pytest.raises(ValidationError) as refusal:
        mailbox.add_recipient("PETE@acme.example")
    assert refusal.value.message_dict == {"email": ["This mailbox already has that address."]}


def test_a_change_of_a_recipient_is_one_version_of_the_mailbox(mailbox):
    recipient = mailbox.add_recipient("pete@acme.example")
    recipient.save()
    recipient.delete()
    assert Mailbox.objects.get().version == mailbox.version == 4


def test_the_history_of_a_recipient_outlives_it(mailbox):
    mailbox.add_recipient("pete@acme.example").delete()
    assert [row.history_type for row in EmailRecipient.history.all()] == ["-", "+"]


def test_a_row_that_is_gone_is_not_made_anew(account):
    mailbox = Mailbox.objects.create(account=account, name="Gone")
    Mailbox.objects.filter(pk=mailbox.pk).delete()
    for wanted in ({"update_fields": ["name"]}, {"force_update": True}):
        with pytest.raises(DatabaseError):
            mailbox.save(**wanted)
    assert not Mailbox.objects.exists()


def test_a_number_for_yes_or_no_is_one(account):
    mailbox = Mailbox.objects.create(account=account, name="Sales", beep=0, transcribe=1)
    mailbox.play_timestamp = 1
    mailbox.save()
    found = Mailbox.objects.values_list("beep", "transcribe", "play_timestamp")
    assert found.get(pk=mailbox.pk) == (False, True, True)
