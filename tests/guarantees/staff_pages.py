"""Every page of the console and of the administration: who may open it, and what a browser sends there."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from django.contrib import admin
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import QueryDict
from django.urls import reverse
from django.utils import timezone
from django_otp.plugins.otp_totp.models import TOTPDevice

from mailboxes.console.filters import Selection
from mailboxes.models import Account, ApiCredential, Batch, EmailRecipient, Import, Mailbox

# Each may do what the one before may, and more. Nobody: none of them.
ANYONE, STAFF, VIEWER, SUPPORT, MANAGER, NOBODY = range(6)

PASSWORD = "correct horse battery"
fresh = map(str, count(1000))  # for names that must be new


@dataclass
class Visit:
    """What the address names, and what the form is sent with."""

    mailbox: Mailbox
    account: Account

    @property
    def recipient(self):
        return self.mailbox.email_recipients.first() or EmailRecipient.objects.first()

    @property
    def credential(self):
        return self.account.credentials.first() or ApiCredential.objects.first()

    @property
    def batch(self):
        return Batch.objects.filter(undone_at=None).first() or Batch.objects.first()


@dataclass(frozen=True)
class Door:
    """A page, asked for or sent to by whoever has at least the rank `least`."""

    method: str
    page: str
    least: int
    sends: Callable[[Visit], dict] = lambda visit: {}
    query: Callable[[Visit], str] = lambda visit: ""
    names: Callable[[Visit], dict] = lambda visit: {}
    does: str = ""  # tells doors of one page apart
    changes: bool = False  # anything but the visitor's own login
    needs_active: bool = False  # a deleted mailbox is restored first
    quiet: bool = False  # what one may not do there is left undone, without a refusal

    def __repr__(self):
        return " ".join(filter(None, [self.method, self.page, self.does]))

    def _repr_pretty_(self, printer, cycle):
        """What hypothesis prints; of a dataclass it would print every field."""
        printer.text(repr(self))

    @property
    def is_admin(self) -> bool:
        return self.page.startswith("admin:")

    def address(self, visit) -> str:
        page = self.page if self.is_admin else f"console:{self.page}"
        return reverse(page, kwargs=self.names(visit)) + self.query(visit)


# --- What the addresses name ------------------------------------------------------------


def of_mailbox(visit):
    return {"uuid": visit.mailbox.pk}


def of_recipient(visit):
    return {"uuid": visit.recipient.mailbox_id, "recipient": visit.recipient.pk}


def of_account(visit):
    return {"name": visit.account.name}


def of_credential(visit):
    return {"name": visit.credential.account.name, "pk": visit.credential.pk}


def of_import(visit):
    return {"uuid": Import.objects.latest("created_at").pk}


def of_batch(visit):
    return {"uuid": visit.batch.pk}


# --- What the forms send --------------------------------------------------------------


def settings_of(visit):
    settings = {"name": f"Changed {next(fresh)}", "beep": "on", "password": "4826"}
    return settings | {"version": visit.mailbox.version}


def new_mailbox(visit):
    return {"account": visit.account.name, "name": "New", "password": "4826"}


def email(visit):
    return {"email": f"new{next(fresh)}@example.com"}


def selected(visit):
    return f"?uuid={visit.mailbox.pk}"


def selected_with_settings(visit):
    return f"{selected(visit)}&to-play_caller_id={'off' if visit.mailbox.play_caller_id else 'on'}"


def digest(deleted):
    """Of the selection as the page shows it."""
    return lambda visit: {
        "digest": Selection(QueryDict(selected(visit)[1:]), deleted=deleted).digest
    }


def csv_file(visit):
    text = f"account,name,password\n{visit.account},Imported {next(fresh)},4826\n"
    return {"file": SimpleUploadedFile("mailboxes.csv", text.encode())}


def credential_named(visit):
    return {"name": f"program-{next(fresh)}"}


def new_password(visit):
    return {"old_password": PASSWORD, "new_password1": PASSWORD, "new_password2": PASSWORD}


def get(page, least=VIEWER, names=lambda visit: {}, **more):
    return Door("GET", page, least, names=names, **more)


def post(page, least, sends=lambda visit: {}, names=lambda visit: {}, *, changes=True, **more):
    return Door("POST", page, least, sends, names=names, changes=changes, **more)


CONSOLE = [
    get("mailbox-list"),
    get("bulk-change", SUPPORT, query=selected_with_settings),
    post("bulk-change", SUPPORT, digest(deleted=False), query=selected_with_settings),
    get("bulk-delete", SUPPORT, query=selected),
    post("bulk-delete", SUPPORT, digest(deleted=False), query=selected),
    get("bulk-restore", SUPPORT, query=selected),
    post("bulk-restore", SUPPORT, digest(deleted=True), query=selected),
    get("mailbox-add", SUPPORT),
    post("mailbox-add", SUPPORT, new_mailbox),
    get("mailbox", names=of_mailbox),
    post("mailbox", SUPPORT, settings_of, of_mailbox, needs_active=True),
    post("pass-code-show", SUPPORT, settings_of, of_mailbox, needs_active=True),
    *(
        post(page, SUPPORT, settings_of, of_mailbox, needs_active=True, changes=False)
        for page in ("pass-code-suggest", "pass-code-check")
    ),
    *(
        post(page, SUPPORT, new_mailbox, changes=False)
        for page in ("new-pass-code-suggest", "new-pass-code-check")
    ),
    post("recipient-add", SUPPORT, email, of_mailbox, needs_active=True),
    post("recipient-remove", SUPPORT, names=of_recipient, needs_active=True),
    post("mailbox-delete", SUPPORT, names=of_mailbox),
    post("mailbox-restore", SUPPORT, names=of_mailbox),
    get("history", names=of_mailbox),
    post("put-back", SUPPORT, lambda visit: {"moment": timezone.now().isoformat()}, of_mailbox),
    get("account-list"),
    get("account-add", MANAGER),
    post("account-add", MANAGER, lambda visit: {"name": f"new-{next(fresh)}"}),
    get("account-names"),
    get("account", names=of_account),
    get("customer-list", names=of_account),
    get("account-edit", MANAGER, of_account),
    post("account-edit", MANAGER, lambda visit: {"contact_name": next(fresh)}, of_account),
    get("account-suspend", MANAGER, of_account),
    post("account-suspend", MANAGER, names=of_account),
    get("account-reactivate", MANAGER, of_account),
    post("account-reactivate", MANAGER, names=of_account),
    get("credential-issue", MANAGER, of_account),
    post("credential-issue", MANAGER, credential_named, of_account),
    get("credential-edit", MANAGER, of_credential),
    post(
        "credential-edit",
        MANAGER,
        lambda visit: {"networks": f"192.0.2.{int(next(fresh)) % 250}/32"},
        of_credential,
    ),
    get("credential-revoke", MANAGER, of_credential),
    post("credential-revoke", MANAGER, names=of_credential),
    get("export", query=selected),
    post("export", VIEWER, lambda visit: {"delimiter": ","}, query=selected, changes=False),
    post(
        "export",
        SUPPORT,
        lambda visit: {"delimiter": ",", "pass_codes": "on"},
        query=selected,
        does="pass codes",
    ),
    get("import", SUPPORT),
    post("import", SUPPORT, csv_file),
    get("import-template", SUPPORT),
    get("import-preview", SUPPORT, of_import),
    post("import-check", SUPPORT, names=of_import, changes=False),
    post("import-write", SUPPORT, names=of_import),
    post("import-discard", SUPPORT, names=of_import),
    get("import-errors", SUPPORT, of_import),
    get("batch-list"),
    post("undo", SUPPORT, names=of_batch),
    get("sign-in", ANYONE),
    get("sign-in-code", ANYONE),
    get("me", STAFF),
    get("password", STAFF),
    post("password", STAFF, new_password, changes=False),
    post("second-factor-start", STAFF, changes=False),
    get("second-factor", STAFF),
    get("recovery-codes", STAFF),
    get("second-factor-off", STAFF),
    post("sign-out", ANYONE, changes=False),
]


# --- The administration ---------------------------------------------------------------

NO_MORE_RECIPIENTS = {"email_recipients-TOTAL_FORMS": 0, "email_recipients-INITIAL_FORMS": 0}


def row(model):
    """The object of the visit, in the administration's words."""
    attribute = {"mailbox": "mailbox", "emailrecipient": "recipient", "account": "account"}
    return lambda visit: {
        "object_id": getattr(visit, attribute.get(model, "credential")).pk,
    }


def fields(model, **typed):
    """The form of the model's page."""
    return lambda visit: (
        {
            "account": {"name": f"new-{next(fresh)}", "contact_name": next(fresh)},
            "apicredential": {"account": visit.account.pk, "networks": "192.0.2.1"}
            | credential_named(visit),
            "emailrecipient": {"mailbox": visit.mailbox.pk} | email(visit),
            "mailbox": {"account": visit.mailbox.account_id, "name": f"New {next(fresh)}"}
            | NO_MORE_RECIPIENTS,
        }[model]
        | typed
    )


def action(name, model):
    return lambda visit: {
        "action": name,
        "_selected_action": row(model)(visit)["object_id"],
        "post": "yes",
    }


def doors_of(model, least):
    """The pages of a model that the groups know; `least` may add and change."""
    page = f"admin:mailboxes_{model}"
    is_of_mailbox = model in ("mailbox", "emailrecipient")
    deletes = least if is_of_mailbox else NOBODY
    return [
        get(f"{page}_changelist"),
        get(f"{page}_add", least),
        post(f"{page}_add", least, fields(model)),
        get(f"{page}_change", names=row(model)),
        post(f"{page}_change", least, fields(model), row(model), needs_active=is_of_mailbox),
        get(f"{page}_history", names=row(model)),
        get(f"{page}_delete", deletes, row(model), needs_active=is_of_mailbox),
        post(
            f"{page}_delete",
            deletes,
            lambda visit: {"post": "yes"},
            row(model),
            needs_active=is_of_mailbox,
        ),
    ]


def acts(model, least, names, **more):
    page = f"admin:mailboxes_{model}_changelist"
    everything = "?state=all" if model == "mailbox" else ""
    return [
        post(
            page,
            least,
            action(name, model),
            query=lambda visit: everything,
            does=name,
            quiet=True,
            **more,
        )
        for name in names
    ]


def doors_of_others():
    """The pages of models that no group has anything to do with."""
    doors = []
    for model in admin.site._registry:
        page = f"admin:{model._meta.app_label}_{model._meta.model_name}"
        if model._meta.app_label != "mailboxes":
            for method in ("GET", "POST"):
                doors.append(Door(method, f"{page}_changelist", NOBODY))
                doors.append(Door(method, f"{page}_add", NOBODY))
                doors += [
                    Door(method, f"{page}_{what}", NOBODY, names=first(model, "object_id"))
                    for what in ("change", "delete", "history")
                ]
    return doors


def first(model, name):
    """The address names some row of the model."""
    return lambda visit: {name: model._default_manager.earliest("pk").pk}


ADMIN = [
    *doors_of("mailbox", SUPPORT),
    *doors_of("emailrecipient", SUPPORT),
    *doors_of("account", MANAGER),
    *doors_of("apicredential", MANAGER),
    *acts("mailbox", SUPPORT, ["restore", "turn_transcription_on", "turn_transcription_off"]),
    *acts("mailbox", SUPPORT, ["delete_selected"]),
    *acts("emailrecipient", SUPPORT, ["delete_selected"], needs_active=True),
    *acts("account", MANAGER, ["suspend", "reactivate"]),
    *acts("account", NOBODY, ["delete_selected"]),
    *acts("apicredential", MANAGER, ["revoke"]),
    *acts("apicredential", NOBODY, ["delete_selected"]),
    post("admin:mailboxes_mailbox_pass_code", SUPPORT, names=of_mailbox, needs_active=True),
    *doors_of_others(),
    get("admin:auth_user_password_change", NOBODY, first(User, "id")),
    post("admin:auth_user_password_change", NOBODY, names=first(User, "id")),
    get("admin:otp_totp_totpdevice_config", NOBODY, first(TOTPDevice, "pk")),
    get("admin:otp_totp_totpdevice_qrcode", NOBODY, first(TOTPDevice, "pk")),
]
