"""The admin's history of a mailbox."""

from mailboxes.models import Mailbox
from tests.conftest import headers_for
from tests.histories import rename_often
from tests.service import InProcess, shows


def test_history_shows_changes_by_api_and_staff(staff, mailbox):
    service = InProcess(headers_for(mailbox.account))
    service.patch(f"/voip/mailbox/{mailbox.pk}", {"name": "By the API"})
    staff.save("mailbox_change", mailbox.pk, name="By staff")
    text = staff.open("mailbox_history", mailbox.pk).text
    assert text.index("By staff") < text.index("By the API")
    assert "API: acme, api" in text
    assert "Changed Name." in text  # an entry of Django's own log


def test_pass_codes_are_masked(staff, mailbox):
    staff.save("mailbox_change", mailbox.pk, password="4829")
    text = staff.open("mailbox_history", mailbox.pk).text
    assert "password: ••••" in " ".join(text.split())
    assert not shows(text, "4829")
    assert not shows(text, "0007")


def test_history_of_a_deleted_mailbox_is_shown(staff, mailbox):
    mailbox.soft_delete()
    assert "deleted" in staff.open("mailbox_history", mailbox.pk).text


def test_history_has_pages(staff, mailbox):
    rename_often(mailbox, 150)
    page = staff.open("mailbox_history", mailbox.pk)
    assert "Name 149" in page.text
    assert "Name 49<" not in page.text
    address = f"/admin/mailboxes/mailbox/{mailbox.pk}/history/?before=52"
    assert f'href="{address}">Older changes<' in page.text
    older = staff.get(address)
    assert "Name 49" in older.text
    assert "Older changes" not in older.text


def test_unknown_mailbox_redirects_to_the_start_page(staff, db):
    page = staff.open("mailbox_history", "31347d42-00bd-44a5-9b5c-20dc4197a2f6")
    assert page.status_code == 302
    assert not Mailbox.objects.exists()
