"""Forms, actions and filters of the admin with a value that cannot be a key."""

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.models import Group, Permission, User
from django.contrib.contenttypes.models import ContentType
from django.urls import reverse
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

from mailboxes.models import Account, ApiCredential, EmailRecipient, Mailbox
from tests.admin.browser import get_errors, get_form_values

INVALID_KEYS = ["x", " ", "1.5", "-1", "\0", "9" * 40, "²", "[]", "acme"]


@pytest.mark.parametrize("key", INVALID_KEYS)
@pytest.mark.parametrize(
    ("page", "field"),
    [
        ("mailbox_add", "account"),
        ("account_add", "reseller"),
        ("apicredential_add", "account"),
        ("emailrecipient_add", "mailbox"),
    ],
)
def test_invalid_key_is_refused_at_its_field(staff, page, field, key):
    answer = staff.save(page, **{field: key})
    assert field in get_errors(answer)


@pytest.mark.long
@pytest.mark.parametrize("key", INVALID_KEYS)
@pytest.mark.parametrize(
    ("model", "page", "field"),
    [
        (User, "change", "groups"),
        (User, "change", "user_permissions"),
        (Group, "change", "permissions"),
        (Group, "add", "permissions"),
    ],
)
def test_invalid_key_among_several_is_refused_at_its_field(staff, model, page, field, key):
    args = [model.objects.first().pk] if page == "change" else []
    address = reverse(f"admin:auth_{model._meta.model_name}_{page}", args=args)
    values = get_form_values(staff.get(address))
    valid = (Group if field == "groups" else Permission).objects.first().pk
    answer = staff.post(address, values | {"name": "Operators", field: [valid, key]})
    assert field in get_errors(answer)


MODELS = [
    Account,
    AccessAttempt,
    ApiCredential,
    EmailRecipient,
    Group,
    Mailbox,
    StaticDevice,
    TOTPDevice,
    User,
]


def get_list_address(model):
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")


@pytest.mark.parametrize("key", INVALID_KEYS)
@pytest.mark.parametrize("model", MODELS)
def test_action_with_an_invalid_key_is_refused(staff, model, key):
    address = get_list_address(model)
    form = {"action": "delete_selected", "_selected_action": [key], "post": "yes"}
    page = staff.post(address, form, follow=True)
    assert page.redirect_chain == [(address, 302)]
    assert User.objects.count() == 1


@pytest.mark.parametrize("value", ["x", "9" * 40])
@pytest.mark.parametrize("model", MODELS)
def test_filter_that_the_page_lacks_is_refused(staff, model, value):
    for lookup in ("pk__in", "id__in", "groups", "groups__in", "key__startswith", "user"):
        assert staff.get(get_list_address(model), {lookup: value}).status_code == 400


def test_users_are_filtered_by_group(staff):
    group = Group.objects.first()
    User.objects.create_user("bob").groups.add(group)
    page = staff.get(get_list_address(User), {"groups__id__exact": group.pk})
    assert [user.username for user in page.context["cl"].result_list] == ["bob"]


@pytest.mark.parametrize("key", ["x", "9" * 40, "%00", "acme"])
def test_no_row_has_a_public_page(staff, key):
    kinds = ContentType.objects.get_for_models(*MODELS).values()
    answers = {kind.model: staff.get(f"/admin/r/{kind.pk}/{key}/").status_code for kind in kinds}
    assert answers == dict.fromkeys(answers, 404)
