import pytest

from mailboxes.forms import MASK, MailboxForm
from mailboxes.models import Mailbox
from tests.service import shows


@pytest.fixture
def typed(account):
    """What a person types at least."""
    return {"account": account.pk, "name": "Sales"}


def test_a_form_without_mailbox_makes_one(typed):
    mailbox = MailboxForm(typed | {"password": "0007"}).save()
    assert (mailbox.name, mailbox.password) == ("Sales", "0007")


def test_a_mailbox_may_have_no_pass_code(typed):
    assert MailboxForm(typed).save().password is None


def test_the_pass_code_is_not_in_the_form(typed, account):
    mailbox = Mailbox(account=account, name="Sales", password="8305")
    assert MailboxForm(instance=mailbox).initial["password"] == MASK
    assert not shows(MailboxForm(instance=mailbox).as_p(), "8305")


def test_the_mask_keeps_the_pass_code(typed, account):
    mailbox = Mailbox(account=account, name="Sales", password="8305")
    assert MailboxForm(typed | {"password": MASK}, instance=mailbox).save().password == "8305"


def test_an_empty_field_removes_the_pass_code(typed, account):
    mailbox = Mailbox(account=account, name="Sales", password="8305")
    assert MailboxForm(typed | {"password": ""}, instance=mailbox).save().password is None


@pytest.mark.parametrize("code", [MASK, "123", "12345", "12a4", "١٢٣٤", " 1234", "1234\n"])
def test_a_new_mailbox_takes_four_digits_only(typed, code):
    form = MailboxForm(typed | {"password": code})
    assert form.errors == {"password": ["Use four digits, 0000 to 9999."]}


@pytest.mark.parametrize("name", ["", "   ", "a" * 101, "Sa\x00les", "Sa\x85les"])
def test_a_wrong_name(typed, name):
    assert set(MailboxForm(typed | {"name": name}).errors) == {"name"}


def test_a_name_is_trimmed(typed):
    assert MailboxForm(typed | {"name": "  Sales "}).save().name == "Sales"
