"""The admin's form that changes a mailbox."""

import pytest

from mailboxes.models import EmailRecipient, Mailbox
from tests.admin.browser import get_errors, get_form_values, read_log
from tests.service import shows


def test_mailbox_is_changed(staff, mailbox):
    assert staff.save("mailbox_change", mailbox.pk, name="Support").status_code == 302
    mailbox.refresh_from_db()
    assert (mailbox.name, mailbox.password, mailbox.version) == ("Support", "0007", 2)


def test_pass_code_is_masked(staff, mailbox):
    page = staff.open("mailbox_change", mailbox.pk)
    assert 'value="••••"' in page.text
    assert not shows(page.text, "0007")


def test_mailbox_without_pass_code_shows_no_mask(staff, account):
    mailbox = Mailbox.objects.create(account=account, name="Sales")
    assert "••••" not in staff.open("mailbox_change", mailbox.pk).text


def test_new_pass_code_is_saved(staff, mailbox):
    staff.save("mailbox_change", mailbox.pk, password="1234")
    mailbox.refresh_from_db()
    assert (mailbox.password, mailbox.password_is_weak) == ("1234", True)
    assert read_log() == ["Changed Pass code."]


def test_policy_refuses_a_new_weak_pass_code(staff, mailbox, settings):
    settings.PASS_CODE_POLICY = "reject"
    page = staff.save("mailbox_change", mailbox.pk, password="1234")
    assert get_errors(page) == {"password": ["It is easy to guess: its digits count up or down."]}
    mailbox.refresh_from_db()
    assert (mailbox.password, mailbox.version) == ("0007", 1)


def test_empty_field_removes_the_pass_code(staff, mailbox):
    staff.save("mailbox_change", mailbox.pk, password="")
    mailbox.refresh_from_db()
    assert (mailbox.password, mailbox.password_is_weak) == (None, False)


def test_invalid_pass_code_changes_nothing(staff, mailbox):
    page = staff.save("mailbox_change", mailbox.pk, name="Support", password="•••1")
    assert get_errors(page) == {
        "password": [
            "Use four digits, 0000 to 9999. This has other characters than the digits 0 to 9."
        ]
    }
    assert 'value="Support"' in page.text
    mailbox.refresh_from_db()
    assert (mailbox.name, mailbox.password, mailbox.version) == ("Sales", "0007", 1)


def test_history_names_the_author(staff, mailbox):
    staff.save("mailbox_change", mailbox.pk, name="Support")
    latest = mailbox.history.latest()
    assert (latest.name, latest.history_user.username) == ("Support", "ada")
    assert latest.history_credential is None


def test_mailbox_does_not_move_to_another_account(staff, mailbox, stranger):
    page = staff.open("mailbox_change", mailbox.pk)
    assert "account" not in page.context["adminform"].form.fields
    assert "It cannot be changed later." in page.text
    staff.save("mailbox_change", mailbox.pk, name="Support", account=stranger.pk)
    after = Mailbox.objects.get()
    assert (after.account, after.name) == (mailbox.account, "Support")
    assert not Mailbox.history.filter(account=stranger).exists()


def test_recipients_are_added_changed_and_removed(staff, mailbox):
    for name in ("ann", "bob"):
        mailbox.add_recipient(f"{name}@example.com")
    staff.save(
        "mailbox_change",
        mailbox.pk,
        **{
            "email_recipients-0-DELETE": "on",
            "email_recipients-1-email": "bo@example.com",
            "email_recipients-2-email": "cy@example.com",
        },
    )
    recipients = mailbox.email_recipients.values_list("email", flat=True)
    assert list(recipients) == ["bo@example.com", "cy@example.com"]
    assert EmailRecipient.history.latest().history_user.username == "ada"


def test_recipient_change_updates_the_mailbox_time_and_version(staff, mailbox):
    before = mailbox.updated_at
    staff.save("mailbox_change", mailbox.pk, **{"email_recipients-0-email": "ann@example.com"})
    mailbox.refresh_from_db()
    assert mailbox.version > 1
    assert mailbox.updated_at > before


def test_duplicate_address_is_refused(staff, mailbox):
    mailbox.add_recipient("ann@example.com")
    page = staff.save(
        "mailbox_change", mailbox.pk, **{"email_recipients-1-email": "ANN@example.com"}
    )
    formset = page.context["inline_admin_formsets"][0].formset
    assert formset.errors == [{}, {"email": ["This mailbox already has that address."]}]
    assert mailbox.email_recipients.count() == 1


@pytest.mark.parametrize("others", [49, 50])
def test_recipient_number_51_is_refused(staff, mailbox, others):
    for number in range(others):
        mailbox.add_recipient(f"{number}@example.com")
    staff.save(
        "mailbox_change",
        mailbox.pk,
        **{
            "email_recipients-TOTAL_FORMS": others + 1,
            f"email_recipients-{others}-email": "ann@example.com",
        },
    )
    assert mailbox.email_recipients.count() == 50


def test_unknown_mailbox_redirects_to_the_start_page(staff, mailbox):
    answer = staff.open("mailbox_change", "63e54af8-07b5-4fd2-b15b-f4c31a82ca0b")
    assert (answer.status_code, answer.url) == (302, "/admin/")


def test_swap_of_two_recipients_addresses_is_refused(staff, mailbox):
    for name in ("ann", "bob"):
        mailbox.add_recipient(f"{name}@example.com")
    page = staff.save(
        "mailbox_change",
        mailbox.pk,
        **{
            "email_recipients-0-email": "bob@example.com",
            "email_recipients-1-email": "ann@example.com",
        },
    )
    duplicate = {"email": ["This mailbox already has that address."]}
    assert page.context["inline_admin_formsets"][0].formset.errors[:2] == [duplicate, duplicate]


def test_duplicate_of_an_address_added_meanwhile_is_refused(staff, mailbox):
    page = staff.open("mailbox_change", mailbox.pk)
    mailbox.add_recipient("ann@example.com")
    typed = get_form_values(page) | {"email_recipients-0-email": "ANN@example.com"}
    page = staff.press("mailbox_change", mailbox.pk, **typed)
    assert "This mailbox already has that address." in page.text
