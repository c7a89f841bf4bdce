"""Imported files: wrong rows and columns are named, and all rows are written, or none."""

import io
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError

from mailboxes import batches
from mailboxes.contract import MAX_NAME_LENGTH, MAX_RECIPIENTS
from mailboxes.csvfiles import importing, parsing, reports
from mailboxes.csvfiles.rows import format_rows
from mailboxes.models import EmailRecipient, Import, ImportRow, Mailbox
from tests.csvfiles.files import check_file, count_outcomes, export_file, import_text
from tests.service import shows

# --- Files -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "The file is empty: its first row must have the column names."),
        (b"\r\n", "The file is empty: its first row must have the column names."),
        (b"name,account\r\n", "The file has no rows below the column names."),
        (b"name\r\n\r\n", "The file has no rows below the column names."),
        (b"nmae,account\r\nx,acme\r\n", "“nmae” is not a known column"),
        (b"name,account,Name\r\nx,acme,y\r\n", "The column “name” appears twice."),
        (b"sep=;\r\n", "The file is empty: its first row must have the column names."),
        ("name\r\nJürgen\r\n".encode("latin-1"), "The file is not in UTF-8"),
        ("name\r\nJürgen\r\n".encode("utf-16")[:-1], "The file is not in UTF-8"),
        (b"\x00\xff\x00", "The file is not in UTF-8"),
        (b"PK\x03\x04\x14\x00\x06\x00", "This is a workbook of a spreadsheet, not a CSV file"),
        (
            b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
            "This is a workbook of a spreadsheet, not a CSV file",
        ),
        (b'name\r\nx\r\n"y\r\n', "Row 3 has an unexpected quotation mark"),
        (b'name\r\n"x"y\r\n', "Row 2 has an unexpected quotation mark"),
        (b"name\r\n" + b"x" * 200_000, "Row 2 has more than 20,000 bytes: shorten it"),
        (b"name\r\n" + "ü".encode() * 10_001, "Row 2 has more than 20,000 bytes"),
        (b'name\r\n"' + b"x\n" * 10_000, "Row 2 has more than 20,000 bytes"),
        (b'name\r\n"' + b'\n","' * 6000, "or add the quotation mark that is missing"),
        (b"name\r\n" + b"," * 20_001, "Row 2 has more than 20,000 bytes"),
        (b"name\r\nx\r\n" + b"\0" * 20_001, "Row 3 has more than 20,000 bytes"),
        (b"name," * 100_000, "Row 1 has more than 20,000 bytes"),
        (b"," * 100_000, "Row 1 has more than 20,000 bytes"),
        (b"\n" * 100_002, "The file has more than 100,000 rows"),
    ],
)
def test_wrong_file_is_refused_and_leaves_nothing(rosa, data, message):
    with pytest.raises(ValidationError) as refusal:
        importing.stage_file(rosa, io.BytesIO(data), "wrong.csv")
    assert message in " ".join(refusal.value.messages)
    assert not Import.objects.exists()


EXCEL = "name\taccount\tpassword\r\nBüro\tdemo\t4829\r\n"
BUERO = {"name": "Buero", "account": "demo", "password": "4829"}


@pytest.mark.parametrize(
    ("data", "rows"),
    [
        (EXCEL.encode("utf-16"), [(2, BUERO | {"name": "Büro"})]),
        (b"\xfe\xff" + EXCEL.encode("utf-16-be"), [(2, BUERO | {"name": "Büro"})]),
        (b"sep=;\r\nname;account;password\r\nBuero;demo;4829\r\n", [(2, BUERO)]),
        (b'\xef\xbb\xbf"SEP=|"\n\nname|account|password\nBuero|demo|4829\n', [(3, BUERO)]),
        (b"name,account,password,,,\r\nBuero,demo,4829,,\r\n", [(2, BUERO)]),
        (b"name,,account,password\nBuero, ,demo,4829\n", [(2, BUERO)]),
        (b"name,account,password\nBuero,demo\n", [(2, BUERO | {"password": ""})]),
        (b"name, Account, password\nBuero, Demo, 4829 \n", [(2, BUERO | {"account": "Demo"})]),
        (b"\n\nname,account\nA,demo\n", [(4, {"name": "A", "account": "demo"})]),
        (
            b";;\r\n ; \r\nname;account;\r\n;;\r\nA;demo\r\n",
            [(5, {"name": "A", "account": "demo"})],
        ),
    ],
)
def test_variants_of_spreadsheets_are_read(data, rows):
    assert list(parsing.parse_rows(io.BytesIO(data))) == rows


def test_cell_without_a_column_name_is_named(rosa, account):
    data = b"name,account,password,recipients\nA,acme,4829\nB,acme\nC,acme,4829,a@x.example,x,y\n"
    source = check_file(rosa, data)
    (error,) = reports.list_errors(source.rows.filter(outcome="wrong"))
    assert error[:3] == (4, "column 5", "x")
    assert error.error == "There is no column name above this cell: add one, or empty the cell."
    assert source.created == 2


def test_number_of_reported_wrong_columns_is_limited(rosa):
    with pytest.raises(ValidationError) as refusal:
        check_file(rosa, b"name,x" * 3_000 + b"\n1\n")
    assert len(refusal.value.messages) == parsing.MAX_HEADER_ERRORS + 1


def test_rows_of_the_largest_size_are_read(rosa):
    row = b"x" * (parsing.MAX_ROW_BYTES - 1) + b"\n"
    source = importing.stage_file(rosa, io.BytesIO(b"name\n" + row * 3), "long.csv")
    assert source.row_count == 3


def test_longest_mailbox_can_be_imported(rosa, account):
    domain = ".".join(["d" * 60, "e" * 60, "f" * 59, "example"])
    addresses = [f"{number:02}{'x' * 62}@{domain}" for number in range(MAX_RECIPIENTS)]
    assert {len(address) for address in addresses} == {254}
    row = ["acme", "“" * MAX_NAME_LENGTH, "; ".join(addresses)]
    data = format_rows([["account", "name", "recipients"], row])
    assert check_file(rosa, data.encode()).created == 1


def test_file_with_too_many_rows_is_refused(rosa, monkeypatch):
    monkeypatch.setattr(parsing, "MAX_ROWS", 2)
    importing.stage_file(rosa, io.BytesIO(b"name\n1\n2\n"), "long.csv")
    with pytest.raises(ValidationError, match="more than 2 rows"):
        importing.stage_file(rosa, io.BytesIO(b"name\n1\n2\n3\n"), "long.csv")


def test_weak_pass_codes_are_refused_if_the_policy_is_reject(rosa, account, settings):
    weak = Mailbox.objects.create(account=account, name="Weak", password="1234")
    settings.PASS_CODE_POLICY = "reject"
    rows = [(str(weak.pk), "", "Still weak", "1234"), ("", "acme", "New", "7777")]
    data = format_rows([["uuid", "account", "name", "password"], *rows])
    source = check_file(rosa, data.encode())
    assert count_outcomes(source) == {"created": 0, "changed": 0, "unchanged": 0, "wrong": 2}
    present, new = source.rows.all()
    assert present.errors == {"password": ["It is easy to guess: its digits count up or down."]}
    assert new.errors == {"password": ["It is easy to guess: it repeats one digit."]}


def test_weak_pass_codes_have_a_warning(rosa, account):
    present = Mailbox.objects.create(account=account, name="Sales", password="1111")
    rows = [
        (str(present.pk), "", "Sales", "1234"),
        ("", "acme", "Sales", "7777"),
        ("", "acme", "Good", "8305"),
        ("", "acme", "None", ""),
    ]
    data = format_rows([["uuid", "account", "name", "password"], *rows])
    source = check_file(rosa, data.encode())
    assert count_outcomes(source) == {"created": 3, "changed": 1, "unchanged": 0, "wrong": 0}
    weak = {"password": ["easy to guess"]}
    copy = {"name": ["another mailbox has this name"]}
    assert [row.errors for row in source.rows.all()] == [weak, weak | copy, {}, {}]
    assert [row.number for row in source.list_warned("password")] == [2, 3]


def test_masked_weak_pass_code_has_no_warning(rosa, account):
    weak = Mailbox.objects.create(account=account, name="Weak", password="1234")
    source = check_file(rosa, f"uuid,name,password\n{weak.pk},Other,••••\n".encode())
    assert (source.changed, source.list_warned("password").count()) == (1, 0)


def test_masked_weak_pass_code_is_kept_if_the_policy_is_reject(rosa, account, settings):
    weak = Mailbox.objects.create(account=account, name="Weak", password="1234")
    settings.PASS_CODE_POLICY = "reject"
    import_text(rosa, f"uuid,name,password\n{weak.pk},Still weak,••••\n")
    weak.refresh_from_db()
    assert (weak.name, weak.password) == ("Still weak", "1234")


def test_staged_pass_codes_are_encrypted(rosa, account):
    importing.stage_file(rosa, io.BytesIO(b"name,password\nSales,8305\n"), "new.csv")
    assert ImportRow.objects.get().cells == {"name": "Sales", "password": "8305"}
    assert not shows(ImportRow.objects.values().get(), "8305")


def test_user_has_at_most_ten_imports_that_are_not_written(rosa, account, sales):
    hugo = User.objects.create_user("hugo")
    kept = check_file(hugo, b"account,name\nacme,Sales\n")
    written = import_text(rosa, "account,name\nacme,Written\n")
    first, *others = [check_file(rosa, b"account,name\nacme,New\n") for _ in range(11)]
    assert not Import.objects.filter(pk=first.pk).exists()
    unwritten = {source.pk for source in [kept, *others]}
    assert set(Import.objects.filter(batch=None).values_list("pk", flat=True)) == unwritten
    assert Import.objects.filter(batch=written).exists()
    assert ImportRow.objects.count() == 11


def test_next_upload_removes_imports_with_errors(rosa, sales, settings):
    wrong = check_file(rosa, b"name\nno account\n")
    good = check_file(rosa, b"name,account\nx,acme\n")
    assert not Import.objects.filter(pk=wrong.pk)
    assert Import.objects.filter(pk=good.pk)


# --- Rows --------------------------------------------------------------------------------------


def find_errors(rosa, header, row):
    source = check_file(rosa, format_rows([header, row]).encode())
    assert source.wrong == 1
    return source.rows.get().errors


NEW_ROW = {"account": "acme", "name": "New"}


@pytest.mark.parametrize(
    ("cells", "column", "message"),
    [
        ({"uuid": "63e54af8"}, "uuid", "Use a UUID"),
        ({"state": "deleted"}, "state", "The mailbox is active"),
        ({"state": "asleep"}, "state", "The mailbox is active"),
        ({"account": "Nobody"}, "account", "There is no account “Nobody”."),
        ({"account": "a\x00b"}, "account", "Null characters"),
        ({"account": ""}, "account", "This field is required."),
        ({"name": "  "}, "name", "This field is required."),
        ({"name": "x" * 101}, "name", "at most 100 characters"),
        ({"name": "x\x07"}, "name", "Leave out control characters."),
        ({"name": " \u3164\u200b"}, "name", "This field cannot be blank."),
        ({"recipients": '"a\x1bb"@acme.example'}, "recipients", "Leave out control characters."),
        ({"password": "123"}, "password", "Use four digits, 0000 to 9999. This has 3 digits."),
        ({"password": "••••"}, "password", "These dots only stand for a pass code."),
        ({"greeting": "hello"}, "greeting", "has no greeting “hello”"),
        ({"beep": "x"}, "beep", "Use yes or no."),
        ({"recipients": "ann@acme.example; bob@"}, "recipients", "“bob@”: Enter a valid email"),
        ({"recipients": "a\x00@acme.example"}, "recipients", "Enter a valid email"),
        ({"recipients": "ann@straße.example"}, "recipients", "Use an address in ASCII"),
        (
            {"recipients": " ".join(f"a{n}@acme.example" for n in range(51))},
            "recipients",
            "at most 50 recipients; you entered 51",
        ),
    ],
)
def test_wrong_cell_is_named_with_a_correction(rosa, account, cells, column, message):
    row = NEW_ROW | cells
    errors = find_errors(rosa, row.keys(), row.values())
    assert list(errors) == [column]
    assert message in errors[column][0]


def test_wrong_cell_is_shown_as_it_was_typed(rosa, account):
    cells = {"uuid": "63E54AF8", "state": "Asleep", "account": "Nobody", "beep": "Vielleicht"}
    data = format_rows([[*cells, "name"], [*cells.values(), "New"]])
    source = check_file(rosa, data.encode())
    shown = {error.column: error.cell for error in reports.list_errors(source.rows.all())}
    assert shown == cells


def test_capital_letters_are_no_change(rosa, sales):
    data = f"uuid,state,account,beep\n{sales.pk},Active,ACME,NO\n".upper().replace("UUID", "uuid")
    source = check_file(rosa, data.encode())
    assert source.unchanged == 1
    (change,) = reports.list_changes(source.rows.all())
    assert change.changes == []


def test_account_is_found_in_capital_letters(rosa, account):
    import_text(rosa, "account,name\nACME,New\n")
    assert Mailbox.objects.get().account == account


def test_wrong_cells_of_a_row_are_named(rosa, account):
    errors = find_errors(rosa, ["account", "beep", "password"], ["nobody", "maybe", "12"])
    assert set(errors) == {"account", "name", "beep", "password"}


def test_file_cannot_move_a_mailbox_to_another_account(rosa, sales, stranger):
    errors = find_errors(rosa, ["uuid", "account"], [str(sales.pk), "stranger"])
    assert "belongs to the account “acme”" in errors["account"][0]


def test_file_cannot_restore_a_mailbox(rosa, sales):
    sales.soft_delete()
    errors = find_errors(rosa, ["uuid", "state"], [str(sales.pk), "active"])
    assert "The mailbox is deleted" in errors["state"][0]


def test_file_cannot_change_a_deleted_mailbox(rosa, sales):
    sales.soft_delete()
    errors = find_errors(rosa, ["uuid", "name"], [str(sales.pk), "Other"])
    assert errors == {"state": ["This mailbox is deleted: restore it before you change it."]}


def test_mailbox_in_two_rows_is_refused(rosa, sales):
    data = f"uuid,name\n{sales.pk},a\n,\n{str(sales.pk).upper()},b\n"
    source = check_file(rosa, data.encode())
    rows = source.rows.filter(outcome="wrong")
    assert [row.number for row in rows] == [2, 4]
    assert all("is in rows 2, 4" in row.errors["uuid"][0] for row in rows)


def test_rows_are_numbered_as_in_a_spreadsheet(rosa, account):
    data = 'name,account\n"two\nlines",acme\n\n,,\n'.replace(",,", ",nobody")
    source = check_file(rosa, data.encode())
    assert [row.number for row in source.rows.all()] == [2, 4]


def test_new_mailbox_with_a_present_name_has_a_warning(rosa, sales, stranger):
    Mailbox.objects.create(account=sales.account, name="Gone").soft_delete()
    rows = ["Sales,acme", "Sales,stranger", "Gone,acme", "New,acme"]
    source = check_file(rosa, "\n".join(["name,account", *rows]).encode())
    assert source.created == 4
    (row,) = source.list_warned("name")
    assert row.number == 2
    assert row.errors == {"name": ["another mailbox has this name"]}


def test_another_order_of_recipients_is_no_change(rosa, sales):
    line = f"uuid,recipients\n{sales.pk},mary@acme.example;pete@acme.example\n"
    assert count_outcomes(check_file(rosa, line.encode()))["unchanged"] == 1


# --- Writing -----------------------------------------------------------------------------------


def test_missing_columns_of_a_new_mailbox_get_defaults(rosa, account):
    import_text(rosa, "account;name;beep\nacme; New ;\n")
    mailbox = Mailbox.objects.get()
    assert (mailbox.name, mailbox.beep, mailbox.transcribe) == ("New", True, False)
    assert (mailbox.password, mailbox.greeting, mailbox.version) == (None, None, 1)


def test_imported_addresses_lose_their_names_and_get_ascii_domains(rosa, account):
    addresses = "Ann <ann@example.com>; bob@bücher.example"
    import_text(rosa, f"account,name,recipients\nacme,New,{addresses}\n")
    stored = Mailbox.objects.get().email_recipients.values_list("email", flat=True)
    assert list(stored) == ["ann@example.com", "bob@xn--bcher-kva.example"]
    assert Mailbox.objects.search("bob@Bücher.example").exists()


def test_new_mailbox_keeps_its_uuid(rosa, account):
    uuid = "63e54af8-07b5-4fd2-b15b-f4c31a82ca0b"
    import_text(rosa, f"uuid,account,name,password\n{uuid.upper()},acme,New,0830\n")
    mailbox = Mailbox.objects.get(pk=uuid)
    assert mailbox.password == "0830"


def test_missing_columns_of_an_existing_mailbox_are_kept(rosa, sales):
    import_text(rosa, f"uuid,name,beep\n{sales.pk},Sales team,\n")
    mailbox = Mailbox.objects.get()
    assert (mailbox.name, mailbox.beep, mailbox.password) == ("Sales team", False, "0830")
    assert mailbox.email_recipients.count() == 2


def test_empty_cells_clear_pass_code_greeting_and_recipients(rosa, sales):
    sales.greeting = uuid4()
    sales.save()
    import_text(rosa, f"uuid,password,greeting,recipients\n{sales.pk},,,\n")
    mailbox = Mailbox.objects.get()
    assert (mailbox.password, mailbox.greeting) == (None, None)
    assert not mailbox.email_recipients.exists()


def test_unchanged_recipients_keep_their_database_rows(rosa, sales):
    stays = sales.email_recipients.get(email="pete@acme.example")
    import_text(rosa, f"uuid,recipients\n{sales.pk},new@acme.example pete@acme.example\n")
    assert {recipient.email for recipient in sales.email_recipients.all()} == {
        "pete@acme.example",
        "new@acme.example",
    }
    assert sales.email_recipients.filter(pk=stays.pk).exists()


def test_import_adds_one_history_row_for_each_change(rosa, sales):
    row = f"{sales.pk},Sales team,8305,new@acme.example"
    batch = import_text(rosa, f"uuid,name,password,recipients\n{row}\n")
    written = Mailbox.history.get(history_batch=batch)
    assert (written.name, written.password, written.history_user) == ("Sales team", "8305", rosa)
    recipients = EmailRecipient.history.filter(history_batch=batch)
    assert sorted((entry.history_type, entry.email) for entry in recipients) == [
        ("+", "new@acme.example"),
        ("-", "mary@acme.example"),
        ("-", "pete@acme.example"),
    ]
    assert EmailRecipient.history.filter(history_type="-").count() == 2


def test_import_can_be_undone(rosa, sales):
    before = export_file(pass_codes_for=rosa)
    batch = import_text(
        rosa, f"uuid,account,name,password,recipients\n{sales.pk},,x,8305,\n,acme,New,,\n"
    )
    assert (batch.action, batch.count) == ("imported", 2)
    batches.undo_batch(batch, rosa)
    assert export_file(Mailbox.objects.active(), pass_codes_for=rosa) == before


def test_staged_rows_are_deleted_after_the_import(rosa, account):
    import_text(rosa, "account,name,password\nacme,New,8305\n")
    assert not ImportRow.objects.exists()


def test_second_write_of_an_import_changes_nothing(rosa, account):
    source = check_file(rosa, b"account,name\nacme,New\n")
    assert importing.write_import(source, rosa) == importing.write_import(source, rosa)
    assert Mailbox.objects.count() == 1


def test_check_makes_few_queries(rosa, sales, django_assert_max_num_queries):
    numbers = range(importing.CHECKED_ROWS)
    rows = "".join(f"acme,Desk {number},d{number}@acme.example\n" for number in numbers)
    data = f"account,name,recipients\n{rows}".encode()
    with django_assert_max_num_queries(40):
        check_file(rosa, data)
