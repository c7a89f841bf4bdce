"""Imports that are refused or fail when they are written."""

import pytest

from mailboxes import batches
from mailboxes.csvfiles import importing
from mailboxes.models import Import, Mailbox
from tests.csvfiles.files import check_file


def test_discarded_import_is_neither_checked_nor_written(rosa, account):
    source = check_file(rosa, b"account,name\nacme,Sales\n")
    Import.objects.all().delete()
    importing.check_rows(source, seconds=60)
    with pytest.raises(importing.NotReadyError):
        importing.write_import(source, rosa)
    assert not Import.objects.exists()
    assert not Mailbox.objects.exists()


def test_wrong_row_stops_the_import(rosa, account):
    source = check_file(rosa, b"account,name\nacme,New\nnobody,New\n")
    with pytest.raises(importing.NotReadyError):
        importing.write_import(source, rosa)
    assert not Mailbox.objects.exists()


def test_mailbox_changed_since_the_check_stops_the_import(rosa, sales):
    source = check_file(rosa, f"uuid,account,name\n,acme,New\n{sales.pk},,Other\n".encode())
    sales.turn_transcription(on=True)
    with pytest.raises(importing.NotReadyError):
        importing.write_import(source, rosa)
    assert [mailbox.name for mailbox in Mailbox.objects.all()] == ["Sales"]
    source.refresh_from_db()
    assert not source.is_checked
    importing.check_rows(source, seconds=600)
    importing.write_import(source, rosa)
    sales.refresh_from_db()
    assert (sales.name, sales.transcribe) == ("Other", True)


@pytest.mark.parametrize("change", ["created", "no account"])
def test_uuid_taken_or_account_deleted_since_the_check_stops_the_import(rosa, account, change):
    uuid = "63e54af8-07b5-4fd2-b15b-f4c31a82ca0b"
    source = check_file(rosa, f"uuid,account,name\n{uuid},acme,New\n".encode())
    if change == "created":
        Mailbox.objects.create(pk=uuid, account=account, name="First")
    else:
        account.delete()
    with pytest.raises(importing.NotReadyError):
        importing.write_import(source, rosa)
    assert not Mailbox.objects.filter(name="New").exists()


def test_failure_in_the_middle_rolls_back_the_import(rosa, account, monkeypatch):
    monkeypatch.setattr(batches, "CHUNK_SIZE", 1)
    rows = "".join(f"acme,Desk {number}\n" for number in range(4))
    source = check_file(rosa, f"account,name\n{rows}".encode())
    broken = source.rows.order_by("mailbox_uuid")[2]
    broken.cells = broken.cells | {"name": ""}  # which a constraint of the database refuses
    broken.save()
    with pytest.raises(importing.NotReadyError):
        importing.write_import(source, rosa)
    assert not Mailbox.objects.exists()
    assert not Mailbox.history.exists()
