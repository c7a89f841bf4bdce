"""Every endpoint of the console and the admin, with its minimum rank and its form."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from django.contrib import admin
from django.contrib.auth.models import AnonymousUser, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import QueryDict
from django.urls import reverse
from django_tasks_db.models import DBTaskResult

from mailboxes.console.filters import Selection
from mailboxes.console.message_filters import MessageSelection
from mailboxes.delivery.webhooks import send
from mailboxes.message_changes import OPPOSITES, MessageChange
from mailboxes.models import (
    Account,
    ApiCredential,
    Batch,
    EmailRecipient,
    Import,
    Mailbox,
    Message,
    Sound,
    WebhookEndpoint,
)
from tests.delivery.webhooks import create_webhook
from tests.recordings import make_wav
from tests.sounds import create_sound

# Each rank may do what the one before it may, and more. NOBODY is above all ranks.
ANYONE, STAFF, VIEWER, SUPPORT, MANAGER, NOBODY = range(6)

PASSWORD = "correct horse battery"
numbers = map(str, count(1000))  # for values that must be new


@dataclass
class Visit:
    """The rows that an address and a form refer to."""

    mailbox: Mailbox
    account: Account

    @property
    def recipient(self):
        return self.mailbox.email_recipients.first() or EmailRecipient.objects.first()

    @property
    def message(self):
        return self.mailbox.messages.first() or Message.objects.first()

    @property
    def credential(self):
        return self.account.credentials.first() or ApiCredential.objects.first()

    @property
    def batch(self):
        return Batch.objects.filter(undone_at=None).first() or Batch.objects.first()

    @property
    def sound(self):
        """A greeting; what a visit has deleted is created again."""
        own = self.account.sounds.active().first()
        return own or Sound.objects.active().first() or create_sound(self.account)

    @property
    def delivery(self):
        """An event that was sent to a webhook; what a visit has deleted is created again."""
        webhook = self.account.webhooks.first() or WebhookEndpoint.objects.first()
        webhook = webhook or create_webhook(self.account)
        return webhook.deliveries.first() or send(webhook, "mailbox.updated", {})


@dataclass(frozen=True)
class Endpoint:
    """A method of a page, for users who have at least `minimum_rank`."""

    method: str
    page: str  # the URL's name
    minimum_rank: int
    form: Callable[[Visit], dict] = lambda visit: {}
    query: Callable[[Visit], str] = lambda visit: ""
    kwargs: Callable[[Visit], dict] = lambda visit: {}
    label: str = ""  # distinguishes endpoints of the same page
    has_effect: bool = False  # on more than the visitor's own login
    needs_active: bool = False  # refuses a deleted mailbox

    def __repr__(self):
        return " ".join(filter(None, [self.method, self.page, self.label]))

    def _repr_pretty_(self, printer, cycle):
        """Replace hypothesis' own output, which has every field of a dataclass."""
        printer.text(repr(self))

    @property
    def is_admin(self) -> bool:
        return self.page.startswith("admin:")

    def build_address(self, visit) -> str:
        page = self.page if self.is_admin else f"console:{self.page}"
        return reverse(page, kwargs=self.kwargs(visit)) + self.query(visit)


# --- Arguments of addresses ------------------------------------------------------------


def mailbox_kwargs(visit):
    return {"uuid": visit.mailbox.pk}


def recipient_kwargs(visit):
    return {"uuid": visit.recipient.mailbox_id, "recipient": visit.recipient.pk}


def message_kwargs(visit):
    return {"mailbox_uuid": visit.message.mailbox_id, "uuid": visit.message.pk}


def action_kwargs(action):
    return lambda visit: message_kwargs(visit) | {"action": action}


def account_kwargs(visit):
    return {"name": visit.account.name}


def credential_kwargs(visit):
    return {"name": visit.credential.account.name, "pk": visit.credential.pk}


def webhook_kwargs(visit):
    webhook = visit.delivery.endpoint
    return {"name": webhook.account.name, "uuid": webhook.pk}


def delivery_kwargs(visit):
    return webhook_kwargs(visit) | {"delivery": visit.delivery.pk}


def sound_kwargs(visit):
    return {"name": visit.sound.account.name, "uuid": visit.sound.pk}


def deleted_sound_kwargs(visit):
    kwargs = sound_kwargs(visit)
    visit.sound.soft_delete()
    return kwargs


def version_kwargs(visit):
    """Return the kwargs of a greeting, with a version that differs from the present one."""
    sound = visit.sound
    sound.change(name=f"Greeting {next(numbers)}")
    return sound_kwargs(visit) | {"version": sound.version - 1}


def failed_delivery_kwargs(visit):
    """Return the delivery's kwargs; one that is pending is not enqueued again."""
    visit.delivery.endpoint.deliveries.update(state="failed", next_attempt_at=None)
    return delivery_kwargs(visit)


def import_kwargs(visit):
    return {"uuid": Import.objects.latest("created_at").pk}


def task_kwargs(visit):
    return {"uuid": DBTaskResult.objects.failed().latest("finished_at").pk}


def batch_kwargs(visit):
    return {"uuid": visit.batch.pk}


def login_kwargs(visit):
    return {"pk": User.objects.get(username="clerk").pk}


# --- Forms ----------------------------------------------------------------------------


def settings_form(visit):
    settings = {"name": f"Changed {next(numbers)}", "beep": "on", "password": "4826"}
    return settings | {"version": visit.mailbox.version}


def new_mailbox_form(visit):
    return {"account": visit.account.name, "name": "New", "password": "4826"}


def email_form(visit):
    return {"email": f"new{next(numbers)}@example.com"}


def selection_query(visit):
    return f"?uuid={visit.mailbox.pk}"


def selection_with_settings_query(visit):
    return f"{selection_query(visit)}&to-play_caller_id={'off' if visit.mailbox.play_caller_id else 'on'}"


def digest_form(deleted):
    """Return a form with the digest of the selection, as the page before showed it."""
    return lambda visit: {
        "digest": Selection(QueryDict(selection_query(visit)[1:]), deleted=deleted).digest
    }


def bulk_form(action):
    return lambda visit: {"action": action, "uuid": visit.message.pk}


def message_query(visit):
    return f"?uuid={visit.message.pk}"


def message_digest_form(visit):
    chosen = QueryDict(message_query(visit)[1:])
    return {"digest": MessageSelection(QueryDict(), chosen, AnonymousUser()).digest}


def undo_form(action):
    """Return the form that undoes the action on the message."""
    return lambda visit: {
        "token": MessageChange(action, {visit.message.pk: visit.message.marks}).sign()
    }


def csv_file_form(visit):
    text = f"account,name,password\n{visit.account},Imported {next(numbers)},4826\n"
    return {"file": SimpleUploadedFile("mailboxes.csv", text.encode())}


def sound_file_form(visit):
    return {"file": SimpleUploadedFile("greeting.wav", make_wav())}


def sound_form(visit):
    return {"name": f"Greeting {next(numbers)}"}


def credential_form(visit):
    return {"name": f"program-{next(numbers)}"}


def webhook_form(visit):
    url = f"https://example.com/{next(numbers)}"
    return {"url": url, "events": ["message.received"], "is_active": "on"}


def version_form(visit):
    return {"version": visit.delivery.endpoint.version}


def password_form(visit):
    return {"old_password": PASSWORD, "new_password1": PASSWORD, "new_password2": PASSWORD}


def get(page, minimum_rank=VIEWER, kwargs=lambda visit: {}, **fields):
    return Endpoint("GET", page, minimum_rank, kwargs=kwargs, **fields)


def post(
    page, minimum_rank, form=lambda visit: {}, kwargs=lambda visit: {}, *, has_effect=True, **fields
):
    return Endpoint(
        "POST", page, minimum_rank, form, kwargs=kwargs, has_effect=has_effect, **fields
    )


CONSOLE = [
    get("mailbox-list"),
    get("bulk-change", SUPPORT, query=selection_with_settings_query),
    post("bulk-change", SUPPORT, digest_form(deleted=False), query=selection_with_settings_query),
    get("bulk-delete", SUPPORT, query=selection_query),
    post("bulk-delete", SUPPORT, digest_form(deleted=False), query=selection_query),
    get("bulk-restore", SUPPORT, query=selection_query),
    post("bulk-restore", SUPPORT, digest_form(deleted=True), query=selection_query),
    get("mailbox-add", SUPPORT),
    post("mailbox-add", SUPPORT, new_mailbox_form),
    get("mailbox", kwargs=mailbox_kwargs),
    post("mailbox", SUPPORT, settings_form, mailbox_kwargs, needs_active=True),
    post("pass-code-show", SUPPORT, settings_form, mailbox_kwargs, needs_active=True),
    *(
        post(page, SUPPORT, settings_form, mailbox_kwargs, needs_active=True, has_effect=False)
        for page in ("pass-code-hide", "pass-code-suggest", "pass-code-check")
    ),
    *(
        post(page, SUPPORT, new_mailbox_form, has_effect=False)
        for page in ("new-pass-code-suggest", "new-pass-code-check")
    ),
    post("recipient-add", SUPPORT, email_form, mailbox_kwargs, needs_active=True),
    post("recipient-remove", SUPPORT, kwargs=recipient_kwargs, needs_active=True),
    post("mailbox-delete", SUPPORT, kwargs=mailbox_kwargs),
    post("mailbox-restore", SUPPORT, kwargs=mailbox_kwargs),
    get("history", kwargs=mailbox_kwargs),
    post("put-back", SUPPORT, lambda visit: {"version": 1}, mailbox_kwargs),
    get("mailbox-messages", kwargs=mailbox_kwargs),
    get("message-list"),
    *(
        post(
            "message-bulk",
            SUPPORT,
            bulk_form(action),
            label=action,
            has_effect=action in ("hear", "delete"),
        )
        for action in ("hear", "unhear", "delete", "restore")
    ),
    get("message-bulk-delete", SUPPORT, query=message_query),
    post("message-bulk-delete", SUPPORT, message_digest_form, query=message_query),
    *(
        post("message-undo", SUPPORT, undo_form(OPPOSITES[action]), label=action)
        for action in ("hear", "delete")
    ),
    get("message", kwargs=message_kwargs),
    get("message-recording", MANAGER, message_kwargs),
    get("message-mail", MANAGER, message_kwargs),
    post("message-transcribe", MANAGER, kwargs=message_kwargs, has_effect=False),  # none has failed
    *(
        post(
            "message-action",
            SUPPORT,
            kwargs=action_kwargs(action),
            label=action,
            has_effect=action in ("hear", "delete"),
        )
        for action in OPPOSITES
    ),
    get("account-list"),
    get("account-add", MANAGER),
    post("account-add", MANAGER, lambda visit: {"name": f"new-{next(numbers)}"}),
    get("account-names"),
    get("account", kwargs=account_kwargs),
    get("customer-list", kwargs=account_kwargs),
    get("account-history", kwargs=account_kwargs),
    get("engine-history"),
    get("deleted-accounts"),
    get("account-edit", MANAGER, account_kwargs),
    post("account-edit", MANAGER, lambda visit: {"contact_name": next(numbers)}, account_kwargs),
    get("account-delete", MANAGER, account_kwargs),
    post("account-delete", MANAGER, kwargs=account_kwargs, has_effect=False),  # it has mailboxes
    get("account-suspend", MANAGER, account_kwargs),
    post("account-suspend", MANAGER, kwargs=account_kwargs),
    get("account-reactivate", MANAGER, account_kwargs),
    post("account-reactivate", MANAGER, kwargs=account_kwargs),
    get("credential-issue", MANAGER, account_kwargs),
    post("credential-issue", MANAGER, credential_form, account_kwargs),
    get("credential-edit", MANAGER, credential_kwargs),
    post(
        "credential-edit",
        MANAGER,
        lambda visit: {"networks": f"192.0.2.{int(next(numbers)) % 250}/32"},
        credential_kwargs,
    ),
    get("credential-revoke", MANAGER, credential_kwargs),
    post("credential-revoke", MANAGER, kwargs=credential_kwargs),
    get("sound-list", kwargs=account_kwargs),
    get("sound-add", SUPPORT, account_kwargs),
    post("sound-add", SUPPORT, sound_file_form, account_kwargs),
    get("sound", kwargs=sound_kwargs),
    get("sound-audio", kwargs=sound_kwargs),
    get("sound-edit", SUPPORT, sound_kwargs),
    post("sound-edit", SUPPORT, sound_form, sound_kwargs),
    get("sound-replace", SUPPORT, sound_kwargs),
    post("sound-replace", SUPPORT, sound_file_form, sound_kwargs),
    post("sound-delete", SUPPORT, kwargs=sound_kwargs),
    post("sound-restore", SUPPORT, kwargs=deleted_sound_kwargs),
    post("sound-put-back", SUPPORT, kwargs=version_kwargs),
    get("webhook-add", MANAGER, account_kwargs),
    post("webhook-add", MANAGER, webhook_form, account_kwargs),
    get("webhook", MANAGER, webhook_kwargs),
    get("webhook-edit", MANAGER, webhook_kwargs),
    post("webhook-edit", MANAGER, webhook_form, webhook_kwargs),
    get("webhook-rotate", MANAGER, webhook_kwargs),
    post("webhook-rotate", MANAGER, version_form, webhook_kwargs),
    get("webhook-delete", MANAGER, webhook_kwargs),
    post("webhook-delete", MANAGER, kwargs=webhook_kwargs),
    post("webhook-test", MANAGER, kwargs=webhook_kwargs),
    get("delivery", MANAGER, delivery_kwargs),
    post("delivery-again", MANAGER, kwargs=failed_delivery_kwargs),
    get("export", query=selection_query),
    post(
        "export", VIEWER, lambda visit: {"delimiter": ","}, query=selection_query, has_effect=False
    ),
    post(
        "export",
        SUPPORT,
        lambda visit: {"delimiter": ",", "pass_codes": "on"},
        query=selection_query,
        label="pass codes",
    ),
    get("import", SUPPORT),
    post("import", SUPPORT, csv_file_form),
    get("import-template", SUPPORT),
    get("import-preview", SUPPORT, import_kwargs),
    post("import-check", SUPPORT, kwargs=import_kwargs, has_effect=False),
    post("import-write", SUPPORT, kwargs=import_kwargs),
    post("import-discard", SUPPORT, kwargs=import_kwargs),
    get("import-errors", SUPPORT, import_kwargs),
    get("batch-list"),
    get("batch", kwargs=batch_kwargs),
    post("undo", SUPPORT, kwargs=batch_kwargs),
    get("job-list", MANAGER),
    post("job-again", MANAGER, kwargs=task_kwargs),
    post("jobs-again", MANAGER),
    get("staff-list", MANAGER),
    get("staff-login", MANAGER, login_kwargs),
    get("staff-add", MANAGER),
    post("staff-add", MANAGER, lambda visit: {"username": f"new-{next(numbers)}"}),
    get("staff-edit", MANAGER, login_kwargs),
    post("staff-edit", MANAGER, lambda visit: {"first_name": next(numbers)}, login_kwargs),
    *(
        endpoint(page, MANAGER, kwargs=login_kwargs)
        for page in ("staff-lock", "staff-second-factor")
        for endpoint in (get, post)
    ),
    post("staff-unlock", MANAGER, kwargs=login_kwargs),
    post("staff-password-link", MANAGER, kwargs=login_kwargs),
    get("set-password", ANYONE, lambda visit: {"uidb64": "MQ", "token": "wrong"}),
    get("sign-in", ANYONE),
    get("sign-in-code", ANYONE),
    get("me", STAFF),
    get("password", STAFF),
    post("password", STAFF, password_form, has_effect=False),
    post("second-factor-start", STAFF, has_effect=False),
    get("second-factor", STAFF),
    get("recovery-codes", STAFF),
    get("second-factor-off", STAFF),
    post("sign-out", ANYONE, has_effect=False),
]


# --- The admin, which is for superusers only ------------------------------------------


def first_kwargs(model, name="object_id"):
    return lambda visit: {name: model._default_manager.earliest("pk").pk}


def list_admin_pages():
    """Yield the name of each page, and the arguments of its address."""
    for model in admin.site._registry:
        page = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        for name in ("changelist", "add"):
            yield f"{page}_{name}", lambda visit: {}
        for name in ("change", "delete", "history"):
            yield f"{page}_{name}", first_kwargs(model)
    yield "admin:mailboxes_mailbox_pass_code", mailbox_kwargs
    yield "admin:auth_user_password_change", first_kwargs(User, "id")


ADMIN = [
    Endpoint(method, page, NOBODY, kwargs=kwargs)
    for page, kwargs in list_admin_pages()
    for method in ("GET", "POST")
]
