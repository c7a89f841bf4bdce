"""Forms of the admin that are sent twice, as by a double click."""

from mailboxes.models import ApiCredential, EmailRecipient, Mailbox
from tests.admin.browser import get_address, get_form_values


def press_twice(staff, page, **typed):
    """Save the form twice; return the answers."""
    answer = staff.open(page)
    form = get_form_values(answer) | typed
    form["csrfmiddlewaretoken"] = str(answer.context["csrf_token"])
    return [staff.press(page, **form) for _time in range(2)]


def test_mailbox_is_added_once(staff, account):
    recipient = {"email_recipients-0-email": "ann@example.com"}
    answers = press_twice(
        staff, "mailbox_add", account=account.pk, name="Sales", password="7392", **recipient
    )
    assert [answer.url for answer in answers] == [get_address("mailbox_changelist")] * 2
    assert (Mailbox.objects.get().password, EmailRecipient.objects.count()) == ("7392", 1)


def test_credential_is_issued_once(staff, account):
    answers = press_twice(staff, "apicredential_add", account=account.pk, name="pbx")
    first, second = (answer.context["login_fields"]["X-Auth-Password"] for answer in answers)
    assert first == second
    assert ApiCredential.objects.authenticate(second, "acme", "pbx")
