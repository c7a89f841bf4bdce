"""The list of accounts, its search, and suggestions of names."""

from datetime import timedelta
from urllib.parse import quote

import pytest
from django.utils import timezone

from mailboxes.models import Account, ApiCredential, Mailbox
from tests.console.conftest import sign_in_with
from tests.console.pages import get_source, get_text


def list_names(browser, address="/accounts/"):
    return [account.name for account in browser.get(address).context["page"]]


@pytest.fixture
def tree(account):
    """Create the reseller acme, its customer beta with contact Ann, and beta's customer zeta."""
    beta = Account.objects.create(name="beta", contact_name="Ann", reseller=account)
    return account, beta, Account.objects.create(name="zeta", reseller=beta)


def test_customers_are_listed_below_their_reseller(viewer, tree, stranger):
    page = viewer.get("/accounts/")
    assert [account.name for account in page.context["page"]] == [
        "acme",
        "beta",
        "zeta",
        "stranger",
    ]
    assert page.content.decode().count('class="indent"') == 3
    assert "zeta (customer of acme / beta)" in get_text(
        page
    )  # for screen readers, which skip the indent


def test_indent_of_deep_accounts_is_limited(viewer, account):
    for depth in range(20):
        account = Account.objects.create(name=f"depth-{depth:02}", reseller=account)
    page = viewer.get("/accounts/")
    assert max(len(account.indent) for account in page.context["page"]) == 6


def test_mailboxes_and_usable_credentials_are_counted(viewer, tree):
    acme, beta, _ = tree
    Mailbox.objects.create(account=acme, name="Sales")
    Mailbox.objects.create(account=acme, name="Gone").soft_delete()
    for name in ("used", "revoked", "expired"):
        ApiCredential.objects.issue(acme, name)
    ApiCredential.objects.get(name="revoked").revoke()
    yesterday = timezone.now() - timedelta(days=1)
    ApiCredential.objects.filter(name="expired").update(expires_at=yesterday)
    ApiCredential.objects.issue(beta, "of-a-suspended-one")
    beta.suspend()
    page = viewer.get("/accounts/").context["page"]
    assert [(row.mailbox_count, row.credential_count) for row in page] == [(1, 1), (0, 0), (0, 0)]


@pytest.mark.parametrize("text", ["eta", "ETA", " eta "])
def test_search_shows_matches_with_their_resellers(viewer, tree, text):
    page = viewer.get(f"/accounts/?q={quote(text)}")
    assert [account.name for account in page.context["page"]] == ["beta", "zeta"]
    assert "acme / beta / zeta" in get_text(page)
    assert 'class="indent"' not in page.content.decode()


def test_search_finds_contact(viewer, tree):
    assert list_names(viewer, "/accounts/?q=ann") == ["beta"]
    tree[2].contact_name = "Jürgen Öztürk"
    tree[2].save()
    assert list_names(viewer, "/accounts/?q=%C3%96ZT%C3%9CRK+zeta+jurgen") == ["zeta"]


@pytest.mark.parametrize("text", ["%", "_", "' OR 1=1 --", "\x00", "é" * 9000, "\ud83d\ude00"])
def test_search_accepts_any_text(viewer, tree, text):
    address = "/accounts/?q=" + quote(text, errors="surrogatepass")
    assert viewer.get(address).status_code == 200


def test_state_filter_narrows_the_list(viewer, tree):
    tree[1].suspend()
    assert list_names(viewer, "/accounts/?state=suspended") == ["beta"]
    assert list_names(viewer, "/accounts/?state=active") == ["acme", "zeta"]
    assert list_names(viewer, "/accounts/?state=active&q=eta") == ["zeta"]
    assert list_names(viewer, "/accounts/?state=other") == ["acme", "beta", "zeta"]


def test_customers_page_lists_one_resellers_tree(viewer, tree, stranger):
    page = viewer.get("/accounts/acme/customers/")
    assert [account.name for account in page.context["page"]] == ["beta", "zeta"]
    assert "Customers of acme" in get_text(page)
    assert page.content.decode().count('class="indent"') == 1  # only zeta is indented
    assert list_names(viewer, "/accounts/beta/customers/?q=e") == ["zeta"]


def test_page_links_keep_the_search(viewer, db):
    for number in range(60):
        Account.objects.create(name=f"desk-{number:02}")
    assert len(list_names(viewer, "/accounts/?q=desk")) == 50
    assert 'href="/accounts/?q=desk&amp;page=2"' in get_source(viewer, "/accounts/?q=desk")
    assert list_names(viewer, "/accounts/?q=desk&page=2") == [f"desk-{n}" for n in range(50, 60)]


def test_page_that_starts_inside_a_tree_shows_the_resellers(viewer, account):
    for number in range(60):
        Account.objects.create(name=f"desk-{number:02}", reseller=account)
    assert "acme / desk-49" in get_text(viewer.get("/accounts/?page=2"))


@pytest.mark.parametrize("page", ["-1", "99", "x"])
def test_invalid_page_number_shows_the_nearest_page(viewer, account, page):
    assert list_names(viewer, f"/accounts/?page={page}") == ["acme"]


@pytest.mark.parametrize(
    ("address", "number"),
    [
        # Session, user, two kinds of permissions, second factor; count, rows.
        ("/accounts/", 8),  # plus engines of every account
        ("/accounts/?q=a&state=active&page=100", 7),
        ("/accounts/top/customers/", 9),  # plus the account and its resellers
    ],
)
def test_query_count_does_not_grow_with_the_rows(
    viewer, django_assert_num_queries, address, number
):
    top = Account.objects.create(name="top")
    for rows in (1, 10_000):
        Account.objects.bulk_create(
            Account(name=f"account-{rows}-{number}", reseller=top) for number in range(rows)
        )
        with django_assert_num_queries(number):
            viewer.get(address)


ENGINES = "Telephone engines for all accounts"


def test_engine_credentials_for_all_accounts_are_listed(manager, account):
    credential, secret = ApiCredential.objects.issue(None, "pbx", is_engine=True)
    ApiCredential.objects.issue(account, "api")
    page = get_text(manager.get("/accounts/"))
    assert f"{ENGINES} Each of these credentials can read the mailboxes of all accounts." in page
    assert f"pbx telephone engine {credential.prefix}…" in page
    assert "api" not in page.partition(ENGINES)[2].partition("pbx")[2].split()
    assert secret not in page


def test_engine_credentials_for_all_accounts_are_listed_on_the_whole_list_only(manager, account):
    Account.objects.create(name="beta", reseller=account)
    ApiCredential.objects.issue(None, "pbx", is_engine=True)
    for address in ("/accounts/acme/customers/", "/accounts/?q=acme", "/accounts/acme/"):
        assert ENGINES not in get_text(manager.get(address))


def test_engine_credentials_for_all_accounts_need_the_view_permission(account):
    ApiCredential.objects.issue(None, "pbx", is_engine=True)
    assert ENGINES not in get_text(sign_in_with("view_account").get("/accounts/"))


def test_row_links_to_account_and_mailboxes(viewer, account):
    page = get_source(viewer, "/accounts/")
    assert 'href="/accounts/acme/"' in page
    assert 'href="/?account=acme"' in page


def test_mailbox_link_needs_view_mailbox(account):
    assert "?account=acme" not in get_source(sign_in_with("view_account"), "/accounts/")


def test_navigation_bar_marks_accounts(viewer, account):
    assert 'href="/accounts/"' in get_source(viewer, "/")
    assert '<a href="/accounts/" aria-current="page">' in " ".join(
        get_source(viewer, "/accounts/").split()
    )
    assert '<a href="/accounts/" aria-current="true">' in " ".join(
        get_source(viewer, "/accounts/acme/").split()
    )


def test_new_account_link_is_shown_to_managers_only(viewer, manager, account):
    assert "New account" in get_source(manager, "/accounts/")
    assert "New account" not in get_source(viewer, "/accounts/")


def test_empty_list_suggests_what_to_do_next(viewer, manager):
    assert 'href="/accounts/-/new/"' in get_source(manager, "/accounts/")
    assert "Ask a Manager" in get_source(viewer, "/accounts/")


def test_search_without_match_suggests_what_to_do_next(viewer, account):
    page = get_source(viewer, "/accounts/?q=<nobody>&state=active")
    assert "No active account has “&lt;nobody&gt;” in its name" in page
    assert 'href="/accounts/?q=%3Cnobody%3E"' in page
    assert 'href="/accounts/?state=active"' in page


def test_empty_state_filter_is_explained(viewer, account):
    assert "No account is suspended" in get_source(viewer, "/accounts/?state=suspended")
    assert "No customers yet" in get_source(viewer, "/accounts/acme/customers/")
    account.suspend()
    assert "No account is active" in get_source(viewer, "/accounts/?state=active")


def test_unknown_reseller_is_not_found(viewer, account):
    assert viewer.get("/accounts/nobody/customers/").status_code == 404


def test_suggestions_begin_with_prefix_matches(viewer, tree):
    Account.objects.create(name="eta-two")
    page = viewer.get("/accounts/-/names/?q=eta")
    assert [account.name for account in page.context["accounts"]] == ["eta-two", "beta", "zeta"]
    assert '<option value="beta">Ann</option>' in page.content.decode()


def test_suggestions_use_the_value_of_the_htmx_field(viewer, tree):
    headers = {"HX-Request": "true", "HX-Trigger-Name": "reseller"}
    page = viewer.get("/accounts/-/names/?reseller=zet", headers=headers)
    assert [account.name for account in page.context["accounts"]] == ["zeta"]


def test_suggestions_are_limited_to_ten(viewer, db):
    Account.objects.bulk_create(Account(name=f"desk-{number}") for number in range(30))
    assert len(viewer.get("/accounts/-/names/?q=").context["accounts"]) == 10


@pytest.mark.parametrize("text", ["%00", "a" * 5000])
def test_suggestions_accept_any_text(viewer, account, text):
    assert viewer.get(f"/accounts/-/names/?q={text}").status_code == 200


def test_account_named_like_a_page_is_shown(viewer, db):
    for name in ("new", "names", "..."):
        Account.objects.create(name=name)
        assert get_text(viewer.get(f"/accounts/{name}/")).count(name) > 1


@pytest.mark.parametrize(
    "address", ["/accounts/", "/accounts/-/names/", "/accounts/acme/customers/"]
)
class TestRefusals:
    def test_page_needs_the_view_account_permission(self, account, address):
        assert sign_in_with("view_mailbox").get(address).status_code == 403

    def test_post_is_not_allowed(self, viewer, account, address):
        assert viewer.post(address).status_code == 405


def test_overlong_search_is_refused(viewer, account):
    page = viewer.get("/accounts/?q=" + "a" * 255)
    assert "Search for at most 10 words and 254 characters." in get_text(page)
    assert not page.context["page"].object_list
    assert not viewer.get("/accounts/-/names/?q=" + "a" * 255).context["accounts"]
