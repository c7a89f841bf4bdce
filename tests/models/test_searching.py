"""Searches for words in any case, with or without accents, and folded names."""

from importlib import import_module

import pytest
from django.apps import apps
from django.contrib.auth.models import User

from mailboxes import batches
from mailboxes.models import Account, Batch, Mailbox
from mailboxes.models.searching import fold

migration = import_module("mailboxes.migrations.0018_fill_folded_names")

NAMES = ["Ärger", "Öztürk", "Привет", "Müller Straße", "Muller", "Łódź 5", "e\u0301te\u0301", "ｶﾞｽ"]


@pytest.fixture
def mailboxes(account):
    account.name = "fontaine"
    account.save()
    for name in [*NAMES, "Sales"]:
        Mailbox.objects.create(account=account, name=name)


@pytest.mark.parametrize("all_accounts", [True, False])
@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("ärger", ["Ärger"]),
        ("ARGER", ["Ärger"]),
        ("öztürk", ["Öztürk"]),
        ("привет", ["Привет"]),
        ("ПРИВЕТ", ["Привет"]),
        ("muller", ["Müller Straße", "Muller"]),
        ("MÜLLER", ["Müller Straße", "Muller"]),
        ("STRASSE müll", ["Müller Straße"]),
        ("fontaine sales", ["Sales"]),
        ("lodz 5", ["Łódź 5"]),
        ("ÉTÉ", ["e\u0301te\u0301"]),
        ("ガス", ["ｶﾞｽ"]),
        ("sales muller", []),
    ],
)
def test_words_are_found_in_any_case_with_or_without_accents(mailboxes, text, found, all_accounts):
    assert [row.name for row in Mailbox.objects.search(text, all_accounts)] == found


@pytest.mark.parametrize("text", ["İSTANBUL ışık", "ΣΊΣΥΦΟΣ", "ﬁn Œuvre Søren", "한글", "ẞ", "™"])
def test_folded_text_stays_the_same_if_folded_again(text):
    assert fold(fold(text)) == fold(text) == fold(text.lower()) == fold(fold(text).upper())


def read_folded_names():
    return [name for name in Mailbox.objects.values_list("folded_name", flat=True) if name]


def test_every_write_of_a_name_folds_it(account):
    rosa = User.objects.create_user("rosa")
    mailbox = Mailbox.objects.create(account=account, name="Müller")
    assert read_folded_names() == ["muller"]
    mailbox.change({"name": "Ärger"})
    assert read_folded_names() == ["arger"]
    mailbox.name = "Öztürk"
    batch = Batch.objects.create(user=rosa, action=Batch.Action.CHANGED)
    batches.write_batch(batch, changed=[mailbox], created=[Mailbox(account=account, name="Zoë")])
    assert read_folded_names() == ["ozturk", "zoe"]
    batches.undo_batch(batch, rosa)
    assert read_folded_names() == ["arger", "zoe"]
    mailbox.refresh_from_db()
    mailbox.change({"name": "Sales"})
    assert read_folded_names() == ["zoe"]


def test_names_of_an_earlier_version_are_found_and_folded_by_the_migration(mailboxes, monkeypatch):
    Account.objects.update(contact_name="Jürgen", folded_contact_name="")
    folded = read_folded_names()
    Mailbox.objects.update(folded_name="")
    assert Mailbox.objects.search("sales").exists()
    monkeypatch.setattr(migration, "CHUNK", 2)
    migration.fold_names(apps, None)
    assert read_folded_names() == folded
    assert Account.objects.search("jurgen").exists()
