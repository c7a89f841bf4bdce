"""A change by staff: what it set, in which accounts, and its mailboxes."""

from uuid import uuid4

import pytest
from django.core.management import call_command
from django.utils import timezone

from mailboxes import batches
from mailboxes.models import Account, Batch, Mailbox
from tests.console.conftest import create_desks
from tests.console.pages import get_text
from tests.console.test_bulk_change import confirm_preview, get_address
from tests.console.test_mailbox_change import save_form
from tests.service import shows


def change_settings(browser, mailboxes, **settings):
    confirm_preview(browser, get_address(mailboxes, **settings))
    return Batch.objects.first()


def test_page_of_a_change_names_its_settings_accounts_and_mailboxes(support, account, stranger):
    desks = [*create_desks(account, 2), *create_desks(stranger, 1)]
    desks[0].turn_transcription(on=True)
    batch = change_settings(support, desks, transcribe="on", beep="off")
    entry = support.get("/changes/")
    assert "Changed: 3 mailboxes. Beep → off Transcribe → on in acme, stranger" in get_text(entry)
    assert f'href="/changes/{batch.pk}/"' in entry.text
    page = support.get(f"/changes/{batch.pk}/")
    text = get_text(page)
    assert "Beep → off Transcribe → on in acme, stranger" in text
    assert "Desk 000 acme Beep on → off History" in text
    assert "Desk 000 stranger Beep on → off Transcribe off → on History" in text
    for desk in desks:
        assert f'href="/mailboxes/{desk.pk}/"' in page.text
        assert f'href="/mailboxes/{desk.pk}/history/"' in page.text
        history = support.get(f"/mailboxes/{desk.pk}/history/")
        assert f'href="/changes/{batch.pk}/"' in history.text


def test_pass_code_is_masked(support, sales):
    save_form(support, sales, password="7392")
    batch = Batch.objects.get()
    assert batch.effects == {"password": ["••••"]}
    for address in ("/changes/", f"/changes/{batch.pk}/"):
        page = get_text(support.get(address))
        assert "Pass code → ••••" in page
        assert not shows(page, "7392")


def test_change_of_pass_codes_leads_to_their_export(support, viewer, account):
    batch = change_settings(support, create_desks(account, 3), password="new")
    link = f'<a href="/export/?batch={batch.pk}">Hand over the new pass codes</a>'
    for address in ("/changes/", f"/changes/{batch.pk}/"):
        assert link in support.get(address).text
        assert "Hand over" not in viewer.get(address).text
    assert "Hand over 3 new pass codes" in get_text(support.get(f"/export/?batch={batch.pk}"))
    assert "Export 3 mailboxes" in get_text(viewer.get(f"/export/?batch={batch.pk}"))
    support.post(f"/changes/{batch.pk}/undo/")
    assert "Hand over" not in support.get("/changes/").text


def test_different_values_are_called_various(support, account):
    desks = create_desks(account, 3)
    for desk, name in zip(desks, ("a", "b", "a"), strict=True):
        desk.name, desk.greeting = name, uuid4()
    batch = Batch(user=support.user, action=Batch.Action.IMPORTED)
    batches.write_batch(batch, changed=desks)
    page = get_text(support.get("/changes/"))
    assert "Imported: 3 mailboxes. Name → various Greeting → various in acme" in page


def test_added_and_removed_recipients_are_named(support, sales):
    ann = sales.email_recipients.get()
    support.post(f"/mailboxes/{sales.pk}/recipients/", {"email": "bob@acme.example"})
    support.post(f"/mailboxes/{sales.pk}/recipients/{ann.pk}/remove/")
    page = get_text(support.get("/changes/"))
    assert "Changed: “Sales”. Recipient added → bob@acme.example in acme" in page
    assert "Changed: “Sales”. Recipient removed → ann@acme.example in acme" in page
    page = get_text(support.get(f"/changes/{Batch.objects.first().pk}/"))
    assert "Sales acme Removed the recipient ann@acme.example History" in page


def test_addresses_are_named_if_they_are_the_same_in_all_mailboxes(support, account):
    desks = create_desks(account, 3)
    change_settings(support, desks[:2], add="team@acme.example ops@acme.example")
    added = "Changed: 2 mailboxes. Recipient added → team@acme.example, ops@acme.example in acme"
    assert added in get_text(support.get("/changes/"))
    change_settings(support, desks, add="team@acme.example ops@acme.example")
    assert added.replace("2 mailboxes", "“Desk 002”") in get_text(support.get("/changes/"))
    desks[0].email_recipients.get(email="ops@acme.example").delete()
    desks[2].email_recipients.all().delete()
    change_settings(support, desks, add="team@acme.example ops@acme.example")
    assert "2 mailboxes. Recipient added → various in acme" in get_text(support.get("/changes/"))


def test_only_a_few_addresses_are_named(support, sales):
    for count, shown in ((5, "a0@acme.example, a1@acme.example"), (6, "various in acme")):
        addresses = " ".join(f"a{number}@acme.example" for number in range(count))
        support.post(f"/mailboxes/{sales.pk}/recipients/", {"email": addresses})
        assert f"Recipient added → {shown}" in get_text(support.get("/changes/"))
        sales.email_recipients.all().delete()


def test_recipients_are_listed_in_their_order(support, account):
    addresses = [f"{name}@acme.example" for name in ("z", "m", "a", "k", "b")]
    for desk in create_desks(account, 3):
        support.post(f"/mailboxes/{desk.pk}/recipients/", {"email": " ".join(addresses)})
        batch = Batch.objects.first()
        assert batch.effects == {"recipient added": addresses}
        page = support.get(f"/changes/{batch.pk}/")
        steps = " ".join(f"Added the recipient {address}" for address in addresses)
        assert f"{desk.name} acme {steps} History" in get_text(page)


def test_settings_of_a_created_mailbox_are_named(support, account):
    typed = {"account": "acme", "name": "Ärger Étage", "password": "7392", "beep": "on"}
    recipients = "z@acme.example b@acme.example"
    support.post("/mailboxes/new/", typed | {"recipients": recipients})
    page = support.get("/changes/")
    assert (
        "Created: “Ärger Étage”. Name → Ärger Étage Pass code → •••• "
        "Recipient added → z@acme.example, b@acme.example in acme"
    ) in get_text(page)
    assert not shows(get_text(page), "7392")


def test_different_settings_of_created_mailboxes_are_called_various(support, account):
    batch = Batch(user=support.user, action=Batch.Action.IMPORTED)
    created = [Mailbox(account=account, name=name, beep=False) for name in ("a", "b")]
    batches.write_batch(batch, created=created)
    assert "2 mailboxes. Name → various Beep → off in acme" in get_text(support.get("/changes/"))
    batches.undo_batch(batch, support.user)
    page = get_text(support.get("/changes/"))
    assert "The change of 2 mailboxes was undone. Mailbox → deleted in acme" in page
    batches.undo_batch(Batch.objects.first(), support.user)
    page = get_text(support.get("/changes/"))
    assert "The change of 2 mailboxes was undone. Mailbox → restored in acme" in page


def test_undo_that_deletes_only_some_mailboxes_does_not_say_deleted(support, account):
    (desk,) = create_desks(account, 1)
    desk.beep = False
    batch = Batch(user=support.user, action=Batch.Action.IMPORTED)
    batches.write_batch(batch, created=[Mailbox(account=account, name="New")], changed=[desk])
    batches.undo_batch(batch, support.user)
    page = get_text(support.get("/changes/"))
    assert "The change of 2 mailboxes was undone. Beep → on Mailbox → various in acme" in page


def test_many_accounts_are_counted(support, monkeypatch):
    accounts = [Account.objects.create(name=f"customer-{number}") for number in range(5)]
    batch = change_settings(
        support, [create_desks(account, 1)[0] for account in accounts], beep="off"
    )
    names = "in customer-0, customer-1, customer-2"
    assert f"{names} and 2 other accounts" in get_text(support.get("/changes/"))
    monkeypatch.setattr(batches, "MAX_ACCOUNTS", 5)
    assert f"{names} and at least 2 other accounts" in get_text(
        support.get(f"/changes/{batch.pk}/")
    )


def test_names_of_removed_mailboxes_are_removed_from_changes(support, account):
    desk, other = create_desks(account, 2)
    save_form(support, desk, name="Dr. Smith")
    batch = change_settings(support, [desk, other], beep="off")
    Mailbox.objects.filter(pk=desk.pk).update(
        deleted_at=timezone.now() - timezone.timedelta(days=99)
    )
    call_command("purge_deleted")
    for address in ("/changes/", *(f"/changes/{batch.pk}/" for batch in Batch.objects.all())):
        assert "Smith" not in support.get(address).text
    assert "1 mailbox is not listed" in get_text(support.get(f"/changes/{batch.pk}/"))


def test_change_by_an_earlier_version_is_shown(support, account):
    batch = change_settings(support, create_desks(account, 2), beep="off")
    Batch.objects.update(effects=None, accounts=None)
    page = get_text(support.get("/changes/"))
    assert "Changed: 2 mailboxes. support" in page
    assert get_text(support.get(f"/changes/{batch.pk}/")).count("Beep on → off") == 2


def test_unknown_change_is_not_found(support):
    assert support.get(f"/changes/{uuid4()}/").status_code == 404


@pytest.mark.parametrize("count", [2, 40])
def test_query_count_does_not_grow_with_the_mailboxes(
    support, account, count, django_assert_num_queries
):
    batch = change_settings(support, create_desks(account, count), beep="off")
    # Session, user, permissions twice, second factor; batch, count, mailboxes, accounts, two for
    # the states before, rows of the mailboxes and of the recipients.
    with django_assert_num_queries(13):
        support.get(f"/changes/{batch.pk}/")
