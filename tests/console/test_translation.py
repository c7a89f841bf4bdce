"""Every word of the console comes from gettext, so a catalogue is enough to translate it.

Each lookup puts its result between marks. All names in these tests consist of digits, so a word
outside the marks is one that a translator would never see.
"""

import csv
import re
from datetime import timedelta
from html import unescape
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from django.contrib.auth.models import Group, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.utils import timezone
from django.utils.html import strip_tags
from django.utils.translation import _trans, trans_real
from django_otp.plugins.otp_totp.models import TOTPDevice

from mailboxes import batches
from mailboxes.console.views import accounts, imports, mailbox_list
from mailboxes.console.views import batches as batch_list
from mailboxes.contract import UUID_TEXT
from mailboxes.csvfiles import importing
from mailboxes.encryption import KeyRing
from mailboxes.history import reveal_pass_code
from mailboxes.models import Account, ApiCredential, Batch, Mailbox, RecoveryCode
from tests.authenticator import AuthenticatorApp, set_up_second_factor
from tests.conftest import headers_for
from tests.console.conftest import sign_in_member_of
from tests.service import InProcess

MARKED = re.compile("⟦[^⟦⟧]*⟧")
# Code, times, and old and new cells of an imported file need no translation.
NOT_PROSE = re.compile(r"<(script|style|code|pre|time|del|ins)\b.*?</\1>", re.DOTALL)
SPOKEN = re.compile(
    r'(?:aria-label|title|alt|placeholder|data-(?!audio|copy|live|show)[\w-]+)="([^"]*)"'
)
EVENT = r"\b(?:mailbox|message|webhook)\.[a-z]+"
DATA = re.compile(rf"\S+@\S+|\S+\.csv|X-Auth-\w+|{EVENT}|{UUID_TEXT}")
WORD = re.compile(r"[^\W\d_]{2,}")


def mark_results(lookup):
    """Return the lookup with its results between marks."""

    def mark(*args):
        text = lookup(*args)
        return type(text)(f"⟦{text}⟧") if text else text

    return mark


@pytest.fixture(autouse=True)
def _marked_lookups(monkeypatch):
    for name in ("gettext", "ngettext", "pgettext", "npgettext"):
        monkeypatch.setattr(_trans, name, mark_results(getattr(trans_real, name)))


def list_unmarked_words(text) -> list[str]:
    """Return the visible and spoken words outside the marks, without data."""
    while MARKED.search(text):
        text = MARKED.sub(" ", text)
    text = NOT_PROSE.sub(" ", text)
    prose = " ".join([strip_tags(text), *SPOKEN.findall(text)])
    return WORD.findall(DATA.sub(" ", unescape(prose)))


def assert_translated(response, status=200):
    address = response.request["PATH_INFO"], response.request["QUERY_STRING"]
    assert response.status_code == status, address
    page = response.content.decode()
    assert "⟦" in page, address
    assert list_unmarked_words(page) == [], address


def sign_in_with_digits(group):
    """Sign in a member of the group; all groups and the user are renamed to digits."""
    browser = sign_in_member_of(group)
    User.objects.filter(pk=browser.user.pk).update(username="41")
    for group in Group.objects.all():
        Group.objects.filter(pk=group.pk).update(name=f"42{group.pk}")
    return browser


@pytest.fixture
def values(db):
    """Create every kind of row in every state; return values for the addresses by name."""
    past = timezone.now() - timedelta(days=1)
    user = User.objects.create_user("43", is_staff=True)
    set_up_second_factor(user)
    locked = User.objects.create_superuser("44", is_active=False, last_login=past)
    top = Account.objects.create(name="100", contact_name="1000")
    account = Account.objects.create(name="101", reseller=top)
    below = Account.objects.create(name="102", reseller=account)
    suspended = Account.objects.create(name="103", reseller=top, is_active=False)
    for name, state in {
        "301": {"expires_at": past},
        "302": {"revoked_at": past},
        "303": {"last_used_at": past, "networks": "192.0.2.0/24"},
    }.items():
        credential, _ = ApiCredential.objects.issue(account, name)
        ApiCredential.objects.filter(pk=credential.pk).update(**state)
    unused, _ = ApiCredential.objects.issue(suspended, "304")
    full = Mailbox.objects.create(account=account, name="201", password="1234", greeting=uuid4())
    recipient = full.add_recipient("501@6.example")
    recipient.email = "502@6.example"
    recipient.save()
    full.add_recipient("503@6.example").delete()
    switches = {"beep": False, "play_caller_id": True, "play_timestamp": True, "transcribe": True}
    program = InProcess(headers_for(account, "305"))
    assert program.patch(f"/voip/mailbox/{full.pk}", switches).status == 200
    reveal_pass_code(full, user)
    bare = Mailbox.objects.create(account=account, name="202", beep=False)
    Mailbox.objects.create(account=suspended, name="203", password="8305")
    deleted = Mailbox.objects.create(account=account, name="204")
    for version, change in enumerate(
        [batches.mark_deleted, batches.mark_restored, batches.mark_deleted], start=1
    ):
        batch = batches.change_each(user, Batch.Action.CHANGED, {deleted.pk: version}, change)
    return {
        "account": account,
        "bare": bare.pk,
        "batch": batch.pk,
        "below": below,
        "credential": credential.pk,
        "deleted": deleted.pk,
        "full": full.pk,
        "locked": locked.pk,
        "login": user.pk,
        "recipient": recipient.pk,
        "suspended": suspended,
        "top": top,
        "unused": unused.pk,
    }


PAGES = {
    "Viewer": [
        "/",
        "/mailboxes/{full}/",
        "/mailboxes/{bare}/",
        "/mailboxes/{deleted}/",
        "/mailboxes/{full}/history/",
        "/changes/",
        "/accounts/",
        "/accounts/{account}/",
        "/export/?all=on",
        "/me/",
    ],
    "Support": [
        "/",
        "/?page=2",
        "/?q=999",
        "/?state=deleted",
        "/?state=deleted&q=999",
        "/?account=101&customers=on&transcribe=on&pass_code=weak&recipients=some&greeting=set",
        "/?account=999&transcribe=9&pass_code=9&recipients=9&greeting=9&order=9&state=9",
        "/mailboxes/new/",
        "/mailboxes/{full}/",
        "/mailboxes/{bare}/",
        "/mailboxes/{deleted}/",
        "/mailboxes/{full}/history/",
        "/mailboxes/{deleted}/history/",
        "/changes/",
        "/changes/?page=2",
        "/changes/{batch}/",
        "/bulk/change/?all=on",
        "/bulk/change/?all=on&to-beep=on&to-transcribe=off&to-greeting=none"
        "&to-password=new&to-add=504@6.example&to-remove=505@6.example",
        "/bulk/change/?uuid={full}&to-play_caller_id=9&to-greeting=set&to-sound=9"
        "&to-add=504@6.example&to-remove=504@6.example",
        "/bulk/delete/?all=on",
        "/bulk/delete/?uuid={full}",
        "/bulk/delete/",
        "/bulk/restore/?uuid={deleted}",
        "/export/?uuid={full}",
        "/export/?batch={batch}",
        "/import/",
        "/me/password/",
    ],
    "Manager": [
        "/accounts/",
        "/accounts/?page=2",
        "/accounts/?q=999",
        "/accounts/?q=1&state=suspended",
        "/accounts/?q=999&state=active",
        "/accounts/?q=999&state=suspended",
        "/accounts/-/new/",
        "/accounts/{top}/",
        "/accounts/{account}/",
        "/accounts/{below}/",
        "/accounts/{suspended}/",
        "/accounts/{top}/customers/",
        "/accounts/{below}/customers/",
        "/accounts/-/history/",
        "/accounts/-/deleted/",
        "/accounts/{account}/history/",
        "/accounts/{account}/edit/",
        "/accounts/{account}/suspend/",
        "/accounts/{below}/suspend/",
        "/accounts/{suspended}/reactivate/",
        "/accounts/{account}/credentials/new/",
        "/accounts/{account}/credentials/new/?engine",
        "/accounts/{suspended}/credentials/new/",
        "/accounts/{account}/credentials/{credential}/edit/",
        "/accounts/{account}/credentials/{credential}/revoke/",
        "/accounts/{suspended}/credentials/{unused}/revoke/",
    ],
}


@pytest.mark.parametrize("group", PAGES)
def test_pages_are_translated(values, monkeypatch, group):
    monkeypatch.setattr(mailbox_list, "ROWS_PER_PAGE", 2)
    monkeypatch.setattr(batch_list, "BATCHES_PER_PAGE", 2)
    browser = sign_in_with_digits(group)
    for page in PAGES[group]:
        monkeypatch.setattr(accounts, "ACCOUNTS_PER_PAGE", 2 if "page" in page else 50)
        assert_translated(browser.get(page.format(**values), follow=True))


@pytest.mark.parametrize("group", ["Viewer", "Manager"])
def test_empty_pages_are_translated(db, group):
    browser = sign_in_with_digits(group)
    for page in ("/", "/?state=deleted", "/changes/", "/accounts/", "/accounts/?state=suspended"):
        assert_translated(browser.get(page))


NEW = {"account": "101", "name": "205"}
MANY = " ".join(f"{number}@6.example" for number in range(51))
FORMS = {
    "Support": [
        ("/mailboxes/new/", NEW),
        ("/mailboxes/new/", {"greeting": "9", "password": "9", "recipients": "9 9@ 7@7"}),
        ("/mailboxes/new/", NEW | {"account": "999", "recipients": MANY}),
        ("/mailboxes/new/pass-code/check/", NEW | {"name": "\x07" * 101, "password": "1234"}),
        ("/mailboxes/{full}/", {"name": "", "version": ""}),
        ("/mailboxes/{full}/", {"name": "209", "version": "9", "password": "••••"}),
        ("/mailboxes/{full}/", {"name": "209", "version": "1", "password": "9999"}),
        ("/mailboxes/{full}/pass-code/show/", {"name": "209", "version": "1"}),
        ("/mailboxes/{bare}/", {"name": "202", "version": "1"}),
        ("/mailboxes/{deleted}/", {"name": "202", "version": "1"}),
        ("/mailboxes/{full}/recipients/", {"email": "504@6.example"}),
        ("/mailboxes/{full}/recipients/", {"email": "502@6.EXAMPLE"}),
        ("/mailboxes/{full}/recipients/", {"email": "9"}),
        ("/mailboxes/{full}/recipients/", {"email": "é@6.example"}),
        ("/mailboxes/{full}/recipients/{recipient}/remove/", {}),
        ("/mailboxes/{full}/delete/", {}),
        ("/mailboxes/{deleted}/restore/", {}),
        ("/changes/{batch}/undo/", {}),
        ("/bulk/delete/?all=on", {"digest": "9"}),
        ("/import/", {}),
        ("/me/password/", {"old_password": "9", "new_password1": "1", "new_password2": "1"}),
        ("/me/password/", {"old_password": "9", "new_password1": "1", "new_password2": "2"}),
    ],
    "Manager": [
        ("/accounts/-/new/", {}),
        ("/accounts/-/new/", {"name": "-", "reseller": "999"}),
        ("/accounts/-/new/", {"name": "101", "contact_name": "\x07"}),
        ("/accounts/-/new/", {"name": "104"}),
        ("/accounts/{top}/edit/", {"reseller": "101"}),
        ("/accounts/{top}/edit/", {"reseller": "100"}),
        ("/accounts/{top}/edit/", {"contact_name": "1001"}),
        ("/accounts/{account}/suspend/", {}),
        ("/accounts/{suspended}/reactivate/", {}),
        ("/accounts/{account}/credentials/new/", {"name": "306"}),
        ("/accounts/{account}/credentials/new/", {"name": "307", "is_engine": "on"}),
        ("/accounts/{account}/credentials/new/", {"name": "302", "expires_at": "2001-01-01T00:00"}),
        (
            "/accounts/{account}/credentials/new/",
            {"name": " 1", "networks": "9", "expires_at": "9"},
        ),
        ("/accounts/{account}/credentials/{credential}/edit/", {"networks": ""}),
        ("/accounts/{account}/credentials/{credential}/revoke/", {}),
    ],
}


@pytest.mark.parametrize(
    ("group", "page", "form"), [(group, *form) for group, forms in FORMS.items() for form in forms]
)
def test_form_responses_are_translated(values, group, page, form):
    assert_translated(sign_in_with_digits(group).post(page.format(**values), form, follow=True))


def test_undo_conflict_is_translated(values):
    Mailbox.objects.get(pk=values["deleted"]).restore()
    assert_translated(
        sign_in_with_digits("Support").post(f"/changes/{values['batch']}/undo/", follow=True)
    )


def test_lost_key_message_is_translated(values, settings):
    settings.PASS_CODE_KEYS = KeyRing([bytes(32)])
    form = {"name": "201", "version": "1"}
    address = f"/mailboxes/{values['full']}/pass-code/show/"
    assert_translated(sign_in_with_digits("Support").post(address, form))


def test_staff_pages_are_translated(values):
    browser, login = sign_in_with_digits("Manager"), f"/staff/{values['login']}/"
    for page in ("/staff/", "/staff/new/", login, f"/staff/{values['locked']}/"):
        assert_translated(browser.get(page))
    for page in ("edit/", "lock/", "second-factor/"):
        assert_translated(browser.get(login + page))
    for form in ({"username": "44", "groups": "9"}, {"username": "45"}):
        assert_translated(browser.post("/staff/new/", form))
    for page in ("lock/", "unlock/", "second-factor/", "edit/"):
        assert_translated(browser.post(login + page, {"first_name": "46"}, follow=True))
    page = browser.post(f"{login}password-link/")
    assert_translated(page)
    page = Client().get(urlsplit(page.context["link"]).path, follow=True)
    assert_translated(page)
    assert_translated(Client().get(page.redirect_chain[-1][0]))


# --- Import ---------------------------------------------------------------------------


def upload_file(browser, text, **values):
    for name, value in values.items():
        text = text.replace(b"{%s}" % name.encode(), str(value).encode())
    return browser.post("/import/", {"file": SimpleUploadedFile("1.csv", text)}, follow=True)


WRONG = b"""uuid,state,account,name,password,greeting,beep,recipients
9,9,101,1,,,,
{full},9,102,1,,,,
{full},,,2,,,,
{deleted},,,2,,,,
,,999,,9,9,9,9 9@ 8@8
"""
FILES = [
    b"",
    b"\n",
    b"name\n",
    b"name,,9,name\n",
    b"name\n1,2\n",
    b'name\n"1"1\n',
    b"name\n\xff\n",
    b"account,name\n101,205\n",
    b"uuid,name,beep,transcribe,password,recipients\n{full},209,yes,no,,\n",
    b"uuid,name\n{full},201\n",
    WRONG,
]


@pytest.mark.parametrize("text", FILES)
def test_file_errors_are_translated(values, text):
    assert_translated(upload_file(sign_in_with_digits("Support"), text, **values))


def test_error_file_is_translated(values):
    browser = sign_in_with_digits("Support")
    address = upload_file(browser, WRONG, **values).wsgi_request.path
    listed = browser.get(f"{address}errors.csv").getvalue().decode("utf-8-sig")
    head, *rows = csv.reader(listed.splitlines())
    assert len(rows) > 5
    assert not list_unmarked_words(" ".join([*head, *(error for *_, error in rows)]))


def test_import_steps_are_translated(values, monkeypatch):
    monkeypatch.setattr(importing, "CHECKED_ROWS", 1)
    monkeypatch.setattr(imports, "SLICE_SECONDS", 0)
    browser = sign_in_with_digits("Support")
    page = upload_file(browser, b"account,name\n101,205\n101,206\n")
    assert_translated(page)
    address = page.wsgi_request.path
    for path in ("write/", "check/", "write/"):
        assert_translated(browser.post(address + path, follow=True))
    assert_translated(browser.get(address))
    address = upload_file(browser, b"account,name\n101,205\n").wsgi_request.path
    assert_translated(browser.post(f"{address}discard/", follow=True))


# --- Signing in -------------------------------------------------------------------------

HOLDER = {"username": "41", "password": "correct horse"}


def test_sign_in_pages_are_translated(values):
    sign_in_with_digits("Viewer")
    for page in ("/sign-in/", "/sign-in/?next=/changes/"):
        assert_translated(Client().get(page))
    for form in ({}, HOLDER | {"password": "9"}):
        assert_translated(Client().post("/sign-in/", form))
    for _ in range(4):
        page = Client().post("/sign-in/", HOLDER | {"password": "9"})
    assert_translated(page, 429)


def test_request_for_another_login_is_translated(values):
    browser = sign_in_with_digits("Viewer")
    assert_translated(browser.get("/sign-in/?next=/import/"))


def test_second_factor_pages_are_translated(values):
    browser = sign_in_with_digits("Viewer")
    page = browser.post("/me/second-factor/start/", follow=True)
    assert_translated(page)
    app = AuthenticatorApp(page.context["key"])
    page = browser.post("/me/second-factor/", {"code": app.code()})
    assert_translated(page)
    code = RecoveryCode.objects.first()
    RecoveryCode.objects.exclude(pk=code.pk).delete()
    for page in ("/me/", "/me/second-factor/recovery-codes/", "/me/second-factor/off/"):
        assert_translated(browser.get(page))
    stranger = Client()
    assert_translated(stranger.post("/sign-in/", HOLDER, follow=True))
    for _ in range(2):
        assert_translated(stranger.post("/sign-in/code/", {"code": app.wrong_code()}))
    TOTPDevice.objects.update(throttling_failure_count=12)
    assert_translated(stranger.post("/sign-in/code/", {"code": app.code(ahead=1)}))
    assert_translated(stranger.post("/sign-in/code/", {"code": code.decrypt()}, follow=True))
    TOTPDevice.objects.update(throttling_failure_count=0)
    form = {"code": app.code(ahead=1)}
    assert_translated(stranger.post("/me/second-factor/off/", form, follow=True))


def test_password_change_is_translated(values):
    form = {
        "old_password": HOLDER["password"],
        "new_password1": "battery staple",
        "new_password2": "battery staple",
    }
    assert_translated(sign_in_with_digits("Viewer").post("/me/password/", form, follow=True))


# --- Errors -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("page", "status"), [("/refuse/", 400), ("/import/", 403), ("/nowhere/", 404), ("/crash/", 500)]
)
def test_error_pages_are_translated(settings, db, page, status):
    settings.ROOT_URLCONF = "tests.console.test_error_pages"
    browser = sign_in_with_digits("Viewer")
    browser.raise_request_exception = False
    assert_translated(browser.get(page), status)


@pytest.mark.parametrize("origin", [{}, {"origin": "null"}, {"origin": "https://6.example"}])
def test_refused_forms_are_translated(db, origin):
    browser = Client(enforce_csrf_checks=True)
    for _ in range(2):
        assert_translated(browser.post("/sign-in/", {}, headers=origin), 403)
        browser.get("/sign-in/")
