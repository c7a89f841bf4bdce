"""Rows of a CSV file: what is written is read back as it was."""

import csv
import io

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import User
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from mailboxes import batches
from mailboxes.csvfiles import exporting, importing
from mailboxes.csvfiles.rows import escape_formula, format_rows, unescape_formula
from mailboxes.models import Account, EmailRecipient, Import, ImportRow, Mailbox
from tests.service import shows

PRINTABLE = st.characters(exclude_categories=["Cc", "Cs"])
TRICKY = st.sampled_from("=+-@'\"0123456789;, \t")


def exported(mailboxes=None, **options):
    """The bytes of the file."""
    mailboxes = Mailbox.objects.all() if mailboxes is None else mailboxes
    return "".join(exporting.export_rows(mailboxes, **options)).encode()


def rows_of(data, delimiter=","):
    """The file as another program reads it."""
    text = io.StringIO(data.decode("utf-8-sig"), newline="")
    return list(csv.DictReader(text, delimiter=delimiter))


def checked(user, data) -> Import:
    source = importing.stage_file(user, io.BytesIO(data), "mailboxes.csv")
    importing.check_rows(source, seconds=600)
    return source


def counts(source):
    return {outcome: getattr(source, outcome) for outcome in ImportRow.Outcome.values}


@pytest.fixture
def rosa(db):
    return User.objects.create_user("rosa")


@pytest.fixture
def sales(account):
    mailbox = Mailbox.objects.create(account=account, name="Sales", password="0830", beep=False)
    for address in ("pete@acme.example", "mary@acme.example"):
        mailbox.add_recipient(address)
    return mailbox


# --- Cells ------------------------------------------------------------------------------


@given(st.text(st.one_of(TRICKY, st.characters(exclude_categories=["Cs"]))))
def test_a_defused_cell_comes_back(text):
    assert unescape_formula(escape_formula(text)) == text


@given(st.text(TRICKY))
def test_no_cell_starts_a_formula(text):
    assert not escape_formula(text).startswith(tuple("=+-@\t\r\n"))


@pytest.mark.parametrize(
    "cell", ["=1+1", "+44", "-1", "@SUM", "\tx", "\rx", "0830", "004420123456"]
)
def test_what_a_spreadsheet_would_alter_has_an_apostrophe_before_it(cell):
    assert escape_formula(cell) == f"'{cell}"


@pytest.mark.parametrize("cell", ["Sales", "'t Hof", "1374", "0.5", " =1", ""])
def test_other_cells_are_left_alone(cell):
    assert escape_formula(cell) == unescape_formula(cell) == cell


# --- Round trip --------------------------------------------------------------------------


class TestRoundTrip(TestCase):
    @given(st.lists(st.text(st.one_of(TRICKY, PRINTABLE), min_size=1, max_size=100), min_size=1))
    def test_any_name_comes_back(self, names):
        account = Account.objects.create(name="acme")
        rosa = User.objects.create_user("rosa")
        Mailbox.objects.bulk_create(Mailbox(account=account, name=name) for name in names)
        for delimiter in ",;":
            data = exported(delimiter=delimiter)
            assert {row["name"] for row in rows_of(data, delimiter)} == set(
                map(escape_formula, names)
            )
            assert counts(checked(rosa, data))["unchanged"] == len(names)


def test_what_was_exported_is_read_back_unchanged(rosa, sales):
    Mailbox.objects.create(account=sales.account, name="Gone").soft_delete()
    Mailbox.objects.create(account=sales.account, name=" kept blanks ", greeting=sales.pk)
    EmailRecipient.objects.create(mailbox=sales, email='"a;b, c"@acme.example')
    for options in ({}, {"pass_codes_for": rosa}, {"delimiter": ";"}):
        source = checked(rosa, exported(**options))
        assert counts(source) == {"wrong": 0, "changed": 0, "created": 0, "unchanged": 3}


def test_what_was_exported_comes_back_in_an_empty_service(rosa, sales):
    EmailRecipient.objects.create(mailbox=sales, email='"a;b,c"@acme.example')
    data = exported(pass_codes_for=rosa)
    Mailbox.objects.all().delete()
    importing.write_import(checked(rosa, data), rosa)
    assert exported(pass_codes_for=rosa) == data
    assert Mailbox.objects.get().password == "0830"


def test_unchanged_whatever_the_line_ends_and_the_mark(rosa, sales):
    data = exported()
    for same in (data, data.removeprefix(b"\xef\xbb\xbf"), data.replace(b"\r\n", b"\n")):
        assert counts(checked(rosa, same))["unchanged"] == 1


def test_recipients_in_another_order_are_no_change(rosa, sales):
    line = f"uuid,recipients\n{sales.pk},mary@acme.example;pete@acme.example\n"
    assert counts(checked(rosa, line.encode()))["unchanged"] == 1


# --- Out --------------------------------------------------------------------------------------


def test_a_row_holds_all_of_a_mailbox(rosa, sales):
    assert rows_of(exported(pass_codes_for=rosa)) == [
        {
            "uuid": str(sales.pk),
            "state": "active",
            "account": "acme",
            "name": "Sales",
            "password": "'0830",
            "greeting": "",
            "beep": "no",
            "play_caller_id": "no",
            "play_timestamp": "no",
            "transcribe": "no",
            "recipients": "pete@acme.example; mary@acme.example",
        }
    ]


def test_pass_codes_are_left_out_unless_asked_for(sales):
    assert "password" not in rows_of(exported())[0]
    assert not shows(exported().decode(), "0830")
    assert not LogEntry.objects.exists()


def test_each_pass_code_that_is_handed_out_is_written_down(rosa, sales):
    Mailbox.objects.create(account=sales.account, name="Without")
    exported(pass_codes_for=rosa)
    entry = LogEntry.objects.get()
    assert (entry.user, entry.object_id) == (rosa, str(sales.pk))
    assert entry.get_change_message() == "Pass code exported."


def test_a_pass_code_under_a_lost_key_is_masked_and_stays(rosa, sales, settings):
    other = type(settings.PASS_CODE_KEYS)([b"x" * 32])
    Mailbox.objects.update(password_sealed=other.encrypt("0830", sales.pk.bytes))
    data = exported(pass_codes_for=rosa)
    assert rows_of(data)[0]["password"] == "••••"
    assert counts(checked(rosa, data))["unchanged"] == 1


def test_export_takes_few_queries(sales, django_assert_num_queries):
    for number in range(batches.ROWS_AT_ONCE):
        Mailbox.objects.create(account=sales.account, name=f"Desk {number}")
    with django_assert_num_queries(3):  # the mailboxes, and twice the recipients
        exported()


# --- In: files that are none ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "The file is empty: its first row has to name the columns."),
        (b"\r\n", "The file is empty: its first row has to name the columns."),
        (b"name,account\r\n", "The file has no row below the names of its columns."),
        (b"name\r\n\r\n", "The file has no row below the names of its columns."),
        (b"nmae,account\r\nx,acme\r\n", "“nmae” is no column"),
        (b"name,account,Name\r\nx,acme,y\r\n", "Column “name” stands there twice."),
        (b"name,,account\r\nx,,acme\r\n", "Column 2 has no name."),
        (b"name,account\r\nx\r\n", "Row 2 has 1 cells, but there are 2 columns."),
        (b"name\r\nx\r\ny,z\r\n", "Row 3 has 2 cells, but there are 1 columns."),
        ("name\r\nJürgen\r\n".encode("latin-1"), "The file is not in UTF-8"),
        ("name\r\nJürgen\r\n".encode("utf-16"), "The file is not in UTF-8"),
        (b"\x00\xff\x00", "The file is not in UTF-8"),
        (b'name\r\nx\r\n"y\r\n', "Row 3 has a quotation mark that does not belong there"),
        (b'name\r\n"x"y\r\n', "Row 2 has a quotation mark that does not belong there"),
        (b"name\r\n" + b"x" * 200_000, "Row 2 has"),
    ],
)
def test_a_wrong_file_is_refused_and_leaves_nothing(rosa, data, sentence):
    with pytest.raises(ValidationError) as refusal:
        importing.stage_file(rosa, io.BytesIO(data), "wrong.csv")
    assert sentence in " ".join(refusal.value.messages)
    assert not Import.objects.exists()


def test_only_some_of_many_wrong_columns_are_told(rosa):
    with pytest.raises(ValidationError) as refusal:
        checked(rosa, b"name,x" * 100_000 + b"\n1\n")
    assert len(refusal.value.messages) == importing.MAX_HEADER_ERRORS + 1


def test_a_file_of_too_many_rows_is_refused(rosa, monkeypatch):
    monkeypatch.setattr(importing, "MAX_ROWS", 2)
    importing.stage_file(rosa, io.BytesIO(b"name\n1\n2\n"), "long.csv")
    with pytest.raises(ValidationError, match="more than 2 rows"):
        importing.stage_file(rosa, io.BytesIO(b"name\n1\n2\n3\n"), "long.csv")


def test_new_weak_pass_codes_are_refused_where_the_policy_says_so(rosa, account, settings):
    weak = Mailbox.objects.create(account=account, name="Weak", password="1234")
    settings.PASS_CODE_POLICY = "reject"
    rows = [(str(weak.pk), "", "Still weak", "1234"), ("", "acme", "New", "7777")]
    data = format_rows([["uuid", "account", "name", "password"], *rows])
    source = checked(rosa, data.encode())
    assert counts(source) == {"created": 0, "changed": 1, "unchanged": 0, "wrong": 1}
    wrong = source.rows.get(outcome="wrong")
    assert wrong.errors == {"password": ["It is easy to guess: it repeats one digit."]}


def test_staged_pass_codes_are_sealed(rosa, account):
    importing.stage_file(rosa, io.BytesIO(b"name,password\nSales,8305\n"), "new.csv")
    assert ImportRow.objects.get().cells == {"name": "Sales", "password": "8305"}
    assert not shows(ImportRow.objects.values().get(), "8305")


def test_the_next_upload_clears_away_what_is_past_or_wrong(rosa, sales, settings):
    wrong = checked(rosa, b"name\nno account\n")
    good = checked(rosa, b"name,account\nx,acme\n")
    assert not Import.objects.filter(pk=wrong.pk)
    assert Import.objects.filter(pk=good.pk)


# --- In: rows ---------------------------------------------------------------------------------------


def what_is_wrong(rosa, header, row):
    source = checked(rosa, format_rows([header, row]).encode())
    assert source.wrong == 1
    return source.rows.get().errors


NEW_ROW = {"account": "acme", "name": "New"}


@pytest.mark.parametrize(
    ("cells", "column", "sentence"),
    [
        ({"uuid": "63e54af8"}, "uuid", "Use a UUID"),
        ({"state": "deleted"}, "state", "The mailbox is active"),
        ({"state": "asleep"}, "state", "The mailbox is active"),
        ({"account": "nobody"}, "account", "No account is called “nobody”."),
        ({"account": "a\x00b"}, "account", "Null characters"),
        ({"account": ""}, "account", "This field is required."),
        ({"name": "  "}, "name", "This field is required."),
        ({"name": "x" * 101}, "name", "at most 100 characters"),
        ({"name": "x\x07"}, "name", "Leave out control characters."),
        ({"password": "123"}, "password", "Use four digits, 0000 to 9999."),
        ({"password": "••••"}, "password", "Use four digits, 0000 to 9999."),
        ({"greeting": "hello"}, "greeting", "Use a UUID"),
        ({"beep": "maybe"}, "beep", "Use yes or no."),
        ({"recipients": "ann@acme.example; bob@"}, "recipients", "“bob@”: Enter a valid email"),
        ({"recipients": "a\x00@acme.example"}, "recipients", "Enter a valid email"),
        ({"recipients": "ann@jürgen.example"}, "recipients", "Use an address in ASCII"),
        (
            {"recipients": " ".join(f"a{n}@acme.example" for n in range(51))},
            "recipients",
            "at most 50 recipients; you entered 51",
        ),
    ],
)
def test_a_wrong_cell_is_named_with_what_would_be_right(rosa, account, cells, column, sentence):
    row = NEW_ROW | cells
    errors = what_is_wrong(rosa, row.keys(), row.values())
    assert list(errors) == [column]
    assert sentence in errors[column][0]


def test_every_wrong_cell_of_a_row_is_named(rosa, account):
    errors = what_is_wrong(rosa, ["account", "beep", "password"], ["nobody", "maybe", "12"])
    assert set(errors) == {"account", "name", "beep", "password"}


def test_a_file_moves_no_mailbox(rosa, sales, stranger):
    errors = what_is_wrong(rosa, ["uuid", "account"], [str(sales.pk), "stranger"])
    assert "belongs to “acme”" in errors["account"][0]


def test_a_file_restores_no_mailbox(rosa, sales):
    sales.soft_delete()
    errors = what_is_wrong(rosa, ["uuid", "state"], [str(sales.pk), "active"])
    assert "The mailbox is deleted" in errors["state"][0]


def test_a_deleted_mailbox_is_not_changed(rosa, sales):
    sales.soft_delete()
    errors = what_is_wrong(rosa, ["uuid", "name"], [str(sales.pk), "Other"])
    assert errors == {"state": ["This mailbox is deleted: restore it before you change it."]}


def test_a_mailbox_stands_in_a_file_once(rosa, sales):
    data = f"uuid,name\n{sales.pk},a\n,\n{str(sales.pk).upper()},b\n"
    source = checked(rosa, data.encode())
    rows = source.rows.filter(outcome="wrong")
    assert [row.number for row in rows] == [2, 4]
    assert all("stands in rows 2, 4" in row.errors["uuid"][0] for row in rows)


def test_rows_are_numbered_as_a_spreadsheet_does(rosa, account):
    data = 'name,account\n"two\nlines",acme\n\n,,\n'.replace(",,", ",nobody")
    source = checked(rosa, data.encode())
    assert [row.number for row in source.rows.all()] == [2, 4]


@pytest.mark.parametrize("word", ["yes", "YES", "true", "TRUE", "on", "1", " Yes "])
def test_words_for_yes(rosa, account, word):
    checked_and_written(rosa, f"account,name,transcribe\nacme,New,{word}\n")
    assert Mailbox.objects.get().transcribe is True


@pytest.mark.parametrize("word", ["no", "No", "false", "off", "0"])
def test_words_for_no(rosa, account, word):
    checked_and_written(rosa, f"account,name,beep\nacme,New,{word}\n")
    assert Mailbox.objects.get().beep is False


# --- In: written ---------------------------------------------------------------------------------------


def checked_and_written(rosa, text):
    return importing.write_import(checked(rosa, text.encode()), rosa)


def test_a_new_mailbox_gets_the_defaults_of_columns_that_are_not_there(rosa, account):
    checked_and_written(rosa, "account;name;beep\nacme; New ;\n")
    mailbox = Mailbox.objects.get()
    assert (mailbox.name, mailbox.beep, mailbox.transcribe) == ("New", True, False)
    assert (mailbox.password, mailbox.greeting, mailbox.version) == (None, None, 1)


def test_a_new_mailbox_keeps_its_uuid(rosa, account):
    uuid = "63e54af8-07b5-4fd2-b15b-f4c31a82ca0b"
    checked_and_written(rosa, f"uuid,account,name,password\n{uuid.upper()},acme,New,0830\n")
    mailbox = Mailbox.objects.get(pk=uuid)
    assert mailbox.password == "0830"


def test_an_existing_mailbox_keeps_what_the_file_does_not_say(rosa, sales):
    checked_and_written(rosa, f"uuid,name,beep\n{sales.pk},Sales team,\n")
    mailbox = Mailbox.objects.get()
    assert (mailbox.name, mailbox.beep, mailbox.password) == ("Sales team", False, "0830")
    assert mailbox.email_recipients.count() == 2


def test_empty_cells_take_away(rosa, sales):
    checked_and_written(rosa, f"uuid,password,greeting,recipients\n{sales.pk},,,\n")
    mailbox = Mailbox.objects.get()
    assert (mailbox.password, mailbox.email_recipients.count()) == (None, 0)


def test_recipients_that_stay_are_the_same(rosa, sales):
    stays = sales.email_recipients.get(email="pete@acme.example")
    checked_and_written(rosa, f"uuid,recipients\n{sales.pk},new@acme.example pete@acme.example\n")
    assert {recipient.email for recipient in sales.email_recipients.all()} == {
        "pete@acme.example",
        "new@acme.example",
    }
    assert sales.email_recipients.filter(pk=stays.pk).exists()


def test_what_is_written_has_its_history_once(rosa, sales):
    row = f"{sales.pk},Sales team,8305,new@acme.example"
    batch = checked_and_written(rosa, f"uuid,name,password,recipients\n{row}\n")
    written = Mailbox.history.get(history_batch=batch)
    assert (written.name, written.password, written.history_user) == ("Sales team", "8305", rosa)
    told = EmailRecipient.history.filter(history_batch=batch)
    assert sorted((entry.history_type, entry.email) for entry in told) == [
        ("+", "new@acme.example"),
        ("-", "mary@acme.example"),
        ("-", "pete@acme.example"),
    ]
    assert EmailRecipient.history.filter(history_type="-").count() == 2


def test_an_import_can_be_undone(rosa, sales):
    before = exported(pass_codes_for=rosa)
    batch = checked_and_written(
        rosa, f"uuid,account,name,password,recipients\n{sales.pk},,x,8305,\n,acme,New,,\n"
    )
    assert (batch.action, batch.count) == ("imported", 2)
    batches.undo_batch(batch, rosa)
    assert exported(Mailbox.objects.active(), pass_codes_for=rosa) == before


def test_rows_are_gone_once_they_are_written(rosa, account):
    checked_and_written(rosa, "account,name,password\nacme,New,8305\n")
    assert not ImportRow.objects.exists()


def test_writing_twice_writes_once(rosa, account):
    source = checked(rosa, b"account,name\nacme,New\n")
    assert importing.write_import(source, rosa) == importing.write_import(source, rosa)
    assert Mailbox.objects.count() == 1


def test_what_is_discarded_meanwhile_is_neither_checked_nor_written(rosa, account):
    source = checked(rosa, b"account,name\nacme,Sales\n")
    Import.objects.all().delete()
    importing.check_rows(source, seconds=60)
    with pytest.raises(importing.NotReadyError):
        importing.write_import(source, rosa)
    assert not Import.objects.exists()
    assert not Mailbox.objects.exists()


def test_nothing_is_written_where_a_row_is_wrong(rosa, account):
    source = checked(rosa, b"account,name\nacme,New\nnobody,New\n")
    with pytest.raises(importing.NotReadyError):
        importing.write_import(source, rosa)
    assert not Mailbox.objects.exists()


def test_nothing_is_written_where_a_mailbox_has_changed_since(rosa, sales):
    source = checked(rosa, f"uuid,account,name\n,acme,New\n{sales.pk},,Other\n".encode())
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


@pytest.mark.parametrize("change", ["made", "no account"])
def test_nothing_is_written_where_a_new_mailbox_cannot_be_made_any_more(rosa, account, change):
    uuid = "63e54af8-07b5-4fd2-b15b-f4c31a82ca0b"
    source = checked(rosa, f"uuid,account,name\n{uuid},acme,New\n".encode())
    if change == "made":
        Mailbox.objects.create(pk=uuid, account=account, name="First")
    else:
        account.delete()
    with pytest.raises(importing.NotReadyError):
        importing.write_import(source, rosa)
    assert not Mailbox.objects.filter(name="New").exists()


def test_all_or_nothing_when_the_database_refuses_in_the_middle(rosa, account, monkeypatch):
    monkeypatch.setattr(batches, "ROWS_AT_ONCE", 1)
    rows = "".join(f"acme,Desk {number}\n" for number in range(4))
    source = checked(rosa, f"account,name\n{rows}".encode())
    spoilt = source.rows.order_by("mailbox_uuid")[2]
    spoilt.cells = spoilt.cells | {"name": ""}  # which a constraint of the database refuses
    spoilt.save()
    with pytest.raises(importing.NotReadyError):
        importing.write_import(source, rosa)
    assert not Mailbox.objects.exists()
    assert not Mailbox.history.exists()


def test_checking_takes_few_queries(rosa, sales, django_assert_max_num_queries):
    rows = "".join(f"acme,Desk {number},d{number}@acme.example\n" for number in range(300))
    data = f"account,name,recipients\n{rows}".encode()
    with django_assert_max_num_queries(25):
        checked(rosa, data)
