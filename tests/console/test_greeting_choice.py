"""The greeting of a mailbox: chosen in forms, bulk change and CSV, and named in texts."""

from uuid import uuid4

import pytest

from mailboxes.models import Account, Mailbox, Sound
from tests.console.conftest import list_messages
from tests.console.pages import get_form_values, get_text
from tests.console.test_bulk_change import confirm_preview, get_address
from tests.csvfiles.files import check_file, import_text
from tests.sounds import create_sound


@pytest.fixture
def sound(account):
    return create_sound(account, "Welcome")


def read_greeting(mailbox):
    return Mailbox.objects.get(pk=mailbox.pk).greeting


def list_options(page) -> dict:
    """Return the label of each choice, with the group that it is in."""
    options = {}
    for value, label in page.context["form"]["greeting"].field.widget.choices:
        if isinstance(label, list):
            options |= {key: f"{value}: {text}" for key, text in label}
        else:
            options[value] = str(label)
    return options


# --- The form of a mailbox -----------------------------------------------------------


def test_greeting_is_chosen_in_the_form(support, sales, sound):
    page = support.get(f"/mailboxes/{sales.pk}/")
    assert list_options(page) == {
        "": "None: the telephone system's own greeting",
        str(sound.pk): "Welcome",
    }
    assert "What callers hear before they leave a message." in get_text(page)
    assert "The name or UUID of a greeting." not in get_text(page)
    assert f'data-audio="/accounts/acme/greetings/{sound.pk}/audio/"' in page.text
    form = get_form_values(page) | {"greeting": str(sound.pk)}
    page = support.post(f"/mailboxes/{sales.pk}/", form, follow=True)
    assert list_messages(page) == ["Saved: “Sales”."]
    assert read_greeting(sales) == sound.pk


def test_shared_greetings_of_resellers_are_offered(support, sales, sound):
    sound.change(shared=True)
    create_sound(sales.account, "Private")
    shop = Account.objects.create(name="shop", reseller=sales.account)
    mailbox = Mailbox.objects.create(account=shop, name="Till")
    options = list_options(support.get(f"/mailboxes/{mailbox.pk}/"))
    assert options[str(sound.pk)] == "Shared by resellers: Welcome"
    assert len(options) == 2


def test_greeting_of_another_service_is_shown_and_kept(support, sales):
    uuid = uuid4()
    Mailbox.objects.filter(pk=sales.pk).update(greeting=uuid)
    page = support.get(f"/mailboxes/{sales.pk}/")
    assert list_options(page)[str(uuid)] == f"a sound of another service ({uuid})"
    support.post(f"/mailboxes/{sales.pk}/", get_form_values(page) | {"name": "Sales desk"})
    assert read_greeting(sales) == uuid


def test_deleted_greeting_is_shown_as_such(support, sales, sound):
    sound.soft_delete()
    Mailbox.objects.filter(pk=sales.pk).update(greeting=sound.pk)
    options = list_options(support.get(f"/mailboxes/{sales.pk}/"))
    assert options[str(sound.pk)] == "Welcome (deleted)"


def test_deleted_greeting_is_no_choice(support, sales, sound):
    sound.soft_delete()
    assert len(list_options(support.get(f"/mailboxes/{sales.pk}/"))) == 1


def test_new_mailbox_offers_the_greetings_of_its_account(support, account, sound):
    page = support.get("/mailboxes/new/?account=acme")
    assert str(sound.pk) in list_options(page)
    form = {"account": "acme", "name": "Sales", "greeting": str(sound.pk)}
    support.post("/mailboxes/new/", form)
    assert Mailbox.objects.get().greeting == sound.pk


def test_new_mailbox_without_an_account_takes_a_name(support, account, sound):
    page = support.get("/mailboxes/new/")
    assert "The name or UUID of a greeting." in get_text(page)
    support.post("/mailboxes/new/", {"account": "acme", "name": "Sales", "greeting": "Welcome"})
    assert Mailbox.objects.get().greeting == sound.pk


def test_wrong_account_is_the_only_error(support, sound):
    form = {"account": "nobody", "name": "Sales", "greeting": "Welcome"}
    assert list(support.post("/mailboxes/new/", form).context["form"].errors) == ["account"]


# --- Its name in texts ---------------------------------------------------------------


def test_page_and_history_name_the_greeting(support, viewer, sales, sound):
    form = get_form_values(support.get(f"/mailboxes/{sales.pk}/"))
    support.post(f"/mailboxes/{sales.pk}/", form | {"greeting": str(sound.pk)})
    batch = Mailbox.history.first().history_batch
    for address in (
        f"/mailboxes/{sales.pk}/",
        f"/mailboxes/{sales.pk}/history/",
        f"/changes/{batch.pk}/",
        "/changes/",
    ):
        text = get_text(viewer.get(address))
        assert "Welcome" in text, address
        assert str(sound.pk) not in text, address


def test_conflict_names_both_greetings(support, sales, sound):
    other = create_sound(sales.account, "Closed")
    form = get_form_values(support.get(f"/mailboxes/{sales.pk}/"))
    mailbox = Mailbox.objects.get(pk=sales.pk)
    mailbox.greeting = sound.pk
    mailbox.save()
    page = support.post(f"/mailboxes/{sales.pk}/", form | {"greeting": str(other.pk)})
    text = get_text(page)
    assert "Greeting none Welcome Closed" in text


# --- Bulk change ----------------------------------------------------------------------


def test_bulk_change_takes_a_name(support, sales, sound):
    address = get_address([sales], greeting="set", sound="Welcome")
    assert "Greeting → Welcome: changes 1 of 1 mailbox" in get_text(support.get(address))
    confirm_preview(support, address)
    assert read_greeting(sales) == sound.pk


def test_bulk_change_takes_a_shared_greeting_for_all_customers(support, sales, sound):
    sound.change(shared=True)
    shop = Account.objects.create(name="shop", reseller=sales.account)
    mailboxes = [sales, Mailbox.objects.create(account=shop, name="Till")]
    confirm_preview(support, get_address(mailboxes, greeting="set", sound="Welcome"))
    assert [read_greeting(mailbox) for mailbox in mailboxes] == [sound.pk] * 2


def refuse_bulk(support, mailboxes, name="Welcome") -> str:
    page = support.get(get_address(mailboxes, greeting="set", sound=name))
    (error,) = page.context["form"].errors["sound"]
    return error


def test_name_that_an_account_lacks_is_refused(support, sales, sound, stranger):
    mailboxes = [sales, Mailbox.objects.create(account=stranger, name="Till")]
    error = refuse_bulk(support, mailboxes)
    assert error.startswith(f"The account “{stranger}” has no greeting “Welcome”.")


def test_name_of_different_greetings_is_refused(support, sales, sound, stranger):
    create_sound(stranger, "Welcome")
    mailboxes = [sales, Mailbox.objects.create(account=stranger, name="Till")]
    assert refuse_bulk(support, mailboxes).startswith("Accounts have different greetings")


def test_name_for_too_many_accounts_is_refused(support, sales, sound, monkeypatch):
    monkeypatch.setattr("mailboxes.console.bulk.MOST_ACCOUNTS", 0)
    assert "more than 0 accounts" in refuse_bulk(support, [sales])


# --- CSV ------------------------------------------------------------------------------


def test_csv_takes_a_name_or_uuid(support, account, sound):
    import_text(support.user, f"account,name,greeting\nacme,One,Welcome\nacme,Two,{sound.pk}\n")
    assert {mailbox.greeting for mailbox in Mailbox.objects.all()} == {sound.pk}


def test_csv_of_an_existing_mailbox_takes_a_name(support, sales, sound):
    import_text(support.user, f"uuid,greeting\n{sales.pk},Welcome\n")
    assert read_greeting(sales) == sound.pk


def test_preview_of_an_import_names_the_greeting(support, sales, sound):
    source = check_file(support.user, f"uuid,greeting\n{sales.pk},Welcome\n".encode())
    text = get_text(support.get(f"/import/{source.pk}/"))
    assert "Welcome" in text
    assert str(sound.pk) not in text


def test_name_of_two_greetings_is_refused(support, sales, sound):
    create_sound(sales.account, "Welcome")
    source = check_file(support.user, f"uuid,greeting\n{sales.pk},Welcome\n".encode())
    assert source.rows.get().errors == {
        "greeting": ["Several greetings have the name “Welcome”. Enter the UUID of one."]
    }


def test_own_greeting_comes_before_a_shared_one(support, sales, sound):
    sound.change(shared=True)
    shop = Account.objects.create(name="shop", reseller=sales.account)
    own = create_sound(shop, "Welcome")
    import_text(support.user, "account,name,greeting\nshop,Till,Welcome\n")
    assert Mailbox.objects.get(name="Till").greeting == own.pk
    assert Sound.objects.count() == 2
