"""The admin as a browser uses it: sign in, open a page, type into what it shows, save."""

from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.urls import reverse


class Browser(Client):
    """Sends to pages by their names in the admin, such as `mailbox_change`."""

    def open(self, page, *args, **query):
        return self.get(address(page, *args), query)

    def press(self, page, *args, **data):
        return self.post(address(page, *args), data)

    def save(self, page, *args, **typed):
        """Save the page's form with what it shows, except for what is typed."""
        return self.press(page, *args, **shown(self.open(page, *args)) | typed)

    def act(self, page, action, *rows, where="", **more):
        """Choose the rows in a list, filtered by the query `where`, and run the action."""
        chosen = {"action": action, "_selected_action": [row.pk for row in rows]}
        return self.post(address(page) + where, chosen | more)


def address(page, *args):
    return reverse(f"admin:mailboxes_{page}", args=args)


def shown(page):
    """The names and values that a browser would send for the page's form."""
    forms = [page.context["adminform"].form]
    for inline in page.context["inline_admin_formsets"]:
        forms += [inline.formset.management_form, *inline.formset.forms]
    values = {field.html_name: field.value() for form in forms for field in form}
    return {
        name: value for name, value in values.items() if value is not None and value is not False
    }


def errors(page):
    """What the page says is wrong with each field of its form."""
    return page.context["adminform"].form.errors


def log():
    """What the log says, newest last."""
    return [entry.get_change_message() for entry in LogEntry.objects.order_by("pk")]


def sign_in(user):
    browser = Browser(SERVER_NAME="localhost")
    browser.force_login(user)
    return browser


def staff_who_may(*permissions):
    """A member of staff with these permissions only, such as `view_mailbox`."""
    user = User.objects.create_user("bob", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
    return sign_in(user)
