"""Forms of mailboxes and accounts, and their fields."""

import pytest
from django.core.exceptions import ValidationError

from mailboxes.form_fields import AccountNameField, AddressesField
from mailboxes.forms import MASK, MailboxForm
from mailboxes.models import Account, Mailbox
from tests.service import shows


@pytest.fixture
def form_data(account):
    """Return the least form data of a mailbox."""
    return {"account": account.pk, "name": "Sales"}


def test_form_without_a_mailbox_creates_one(form_data):
    mailbox = MailboxForm(form_data | {"password": "0007"}).save()
    assert (mailbox.name, mailbox.password) == ("Sales", "0007")


def test_mailbox_may_have_no_pass_code(form_data):
    assert MailboxForm(form_data).save().password is None


def test_pass_code_is_not_in_the_form(form_data, account):
    mailbox = Mailbox(account=account, name="Sales", password="8305")
    assert MailboxForm(instance=mailbox).initial["password"] == MASK
    assert not shows(MailboxForm(instance=mailbox).as_p(), "8305")


def test_mask_keeps_the_pass_code(form_data, account):
    mailbox = Mailbox(account=account, name="Sales", password="8305")
    assert MailboxForm(form_data | {"password": MASK}, instance=mailbox).save().password == "8305"


def test_empty_field_removes_the_pass_code(form_data, account):
    mailbox = Mailbox(account=account, name="Sales", password="8305")
    assert MailboxForm(form_data | {"password": ""}, instance=mailbox).save().password is None


@pytest.mark.parametrize("code", [MASK, "123", "12345", "12a4", "١٢٣٤", " 1234", "1234\n"])
def test_pass_code_of_a_new_mailbox_must_be_four_digits(form_data, code):
    form = MailboxForm(form_data | {"password": code})
    (error,) = form.errors.pop("password")
    assert error.startswith("Use four digits, 0000 to 9999. ")
    assert not form.errors


@pytest.mark.parametrize("name", ["", "   ", "a" * 101, "Sa\x00les", "Sa\x85les", "\ufeff"])
def test_wrong_name_is_refused(form_data, name):
    assert set(MailboxForm(form_data | {"name": name}).errors) == {"name"}


def test_name_is_trimmed(form_data):
    assert MailboxForm(form_data | {"name": "  Sales "}).save().name == "Sales"


@pytest.mark.parametrize("name", ["acme", " ACME "])
def test_account_is_found_by_its_name(account, name):
    assert AccountNameField().clean(name) == account


def test_empty_name_is_no_account(account):
    assert AccountNameField(required=False).clean("") is None


@pytest.mark.parametrize("name", ["nobody", "ac\x00me", "1"])
def test_unknown_account_is_refused(account, name):
    with pytest.raises(ValidationError) as refusal:
        AccountNameField().clean(name)
    assert refusal.value.messages == [f"There is no account “{name}”. Check the name."]


def test_account_outside_the_queryset_is_refused(account, stranger):
    field = AccountNameField(Account.objects.exclude(pk=stranger.pk))
    assert field.clean("acme") == account
    with pytest.raises(ValidationError):
        field.clean("stranger")


@pytest.mark.parametrize("separator", [",", ";", "; ", " ", "\n", "\r\n", " ,\t; "])
def test_usual_separators_of_addresses_are_accepted(separator):
    text = f" ann@acme.example{separator}bob@acme.example "
    assert AddressesField().clean(text) == ["ann@acme.example", "bob@acme.example"]


def test_separators_in_quotes_belong_to_the_address():
    text = '"ann;of, acme"@acme.example, bob@acme.example'
    assert AddressesField.split(text) == ['"ann;of, acme"@acme.example', "bob@acme.example"]


@pytest.mark.parametrize(
    "text",
    [
        "Ann Smith <ann@acme.example>, Bob <bob@acme.example>",
        '"Smith, Ann" <ann@acme.example>; bob@acme.example',
        "<ann@acme.example> bob@acme.example",
        "ann@acme.example Bob Brown <bob@acme.example>",
        "Ann Smith <ann@acme.example>\r\nBob<bob@acme.example>",
    ],
)
def test_names_before_addresses_are_left_out(text):
    assert AddressesField().clean(text) == ["ann@acme.example", "bob@acme.example"]


def test_domains_of_addresses_are_converted_to_ascii():
    text = "ann@bücher.example ann@xn--bcher-kva.example"
    assert AddressesField().clean(text) == ["ann@xn--bcher-kva.example"]


def test_duplicate_address_is_used_once():
    text = "Ann@acme.example bob@acme.example ann@ACME.example"
    assert AddressesField().clean(text) == ["Ann@acme.example", "bob@acme.example"]


def test_empty_text_has_no_addresses():
    assert AddressesField(required=False).clean(" ") == []
    with pytest.raises(ValidationError, match="required"):
        AddressesField().clean(" ")


def test_each_wrong_address_is_named():
    with pytest.raises(ValidationError) as refusal:
        AddressesField().clean("ann@ bob@acme.example c\x00d@acme.example ann@straße.example")
    assert refusal.value.messages == [
        "“ann@”: Enter a valid email address.",
        "“cd@acme.example”: Enter a valid email address.",
        "“ann@straße.example”: Use an address in ASCII; write an international domain in its xn-- form.",
    ]


def test_too_many_addresses_are_refused():
    text = " ".join(f"a{number}@acme.example" for number in range(51))
    with pytest.raises(ValidationError, match="at most 50 recipients; you entered 51"):
        AddressesField().clean(text)


def test_long_list_of_addresses_is_refused():
    with pytest.raises(ValidationError, match="Enter at most 20,000 characters"):
        AddressesField().clean("a," * 10_001)


@pytest.mark.parametrize("hostile", ['"\\', '"', "a ", "<", '" "', '"a" ', "a<"])
def test_hostile_list_of_addresses_is_split_quickly(hostile):
    text = hostile * 50_000 + "\n ann@acme.example"
    assert AddressesField.split(text)[-1] == "ann@acme.example"
