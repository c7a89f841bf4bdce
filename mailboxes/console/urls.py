"""URL configuration of the staff pages."""

from django.contrib.auth.views import LogoutView
from django.urls import path, register_converter
from django.urls.converters import StringConverter

from mailboxes.console.views import (
    accounts,
    batches,
    bulk,
    credentials,
    export,
    history,
    imports,
    jobs,
    mail,
    mailbox,
    mailbox_list,
    me,
    message,
    message_list,
    pass_codes,
    second_factor,
    sign_in,
    sounds,
    staff,
    webhooks,
)
from mailboxes.validators import ACCOUNT_NAME_TEXT

app_name = "console"


class AccountName(StringConverter):
    regex = ACCOUNT_NAME_TEXT


register_converter(AccountName, "account")

WEBHOOKS = "accounts/<account:name>/webhooks/"
GREETINGS = "accounts/<account:name>/greetings/"
DELIVERY = f"{WEBHOOKS}<uuid:uuid>/deliveries/<uuid:delivery>"

urlpatterns = [
    path("", mailbox_list.mailbox_list, name="mailbox-list"),
    path("bulk/change/", bulk.bulk_change, name="bulk-change"),
    path("bulk/delete/", bulk.bulk_delete, name="bulk-delete"),
    path("bulk/restore/", bulk.bulk_restore, name="bulk-restore"),
    path("mailboxes/new/", mailbox.add, name="mailbox-add"),
    path(
        "mailboxes/new/pass-code/suggest/",
        pass_codes.suggest_for_new,
        name="new-pass-code-suggest",
    ),
    path("mailboxes/new/pass-code/check/", pass_codes.check_for_new, name="new-pass-code-check"),
    path("mailboxes/<uuid:uuid>/", mailbox.mailbox, name="mailbox"),
    path("mailboxes/<uuid:uuid>/pass-code/show/", pass_codes.show, name="pass-code-show"),
    path("mailboxes/<uuid:uuid>/pass-code/hide/", pass_codes.hide, name="pass-code-hide"),
    path("mailboxes/<uuid:uuid>/pass-code/suggest/", pass_codes.suggest, name="pass-code-suggest"),
    path("mailboxes/<uuid:uuid>/pass-code/check/", pass_codes.check, name="pass-code-check"),
    path("mailboxes/<uuid:uuid>/recipients/", mailbox.recipient_add, name="recipient-add"),
    path(
        "mailboxes/<uuid:uuid>/recipients/<uuid:recipient>/remove/",
        mailbox.recipient_remove,
        name="recipient-remove",
    ),
    path("mailboxes/<uuid:uuid>/delete/", mailbox.delete, name="mailbox-delete"),
    path("mailboxes/<uuid:uuid>/restore/", mailbox.restore, name="mailbox-restore"),
    path("mailboxes/<uuid:uuid>/messages/", message_list.mailbox_messages, name="mailbox-messages"),
    path("mailboxes/<uuid:mailbox_uuid>/messages/<uuid:uuid>/", message.message, name="message"),
    path(
        "mailboxes/<uuid:mailbox_uuid>/messages/<uuid:uuid>/recording/",
        message.recording,
        name="message-recording",
    ),
    path(
        "mailboxes/<uuid:mailbox_uuid>/messages/<uuid:uuid>/transcribe/",
        message.transcribe,
        name="message-transcribe",
    ),
    path(
        "mailboxes/<uuid:mailbox_uuid>/messages/<uuid:uuid>/mail/", mail.mail, name="message-mail"
    ),
    path(
        "mailboxes/<uuid:mailbox_uuid>/messages/<uuid:uuid>/<action>/",
        message.message_action,
        name="message-action",
    ),
    path("mailboxes/<uuid:uuid>/history/", history.history, name="history"),
    path("mailboxes/<uuid:uuid>/put-back/", history.put_back, name="put-back"),
    path("messages/", message_list.message_list, name="message-list"),
    path("messages/bulk/", message_list.message_bulk, name="message-bulk"),
    path("messages/bulk/delete/", message_list.message_bulk_delete, name="message-bulk-delete"),
    path("messages/undo/", message_list.message_undo, name="message-undo"),
    path("accounts/", accounts.account_list, name="account-list"),
    # "-" cannot be the name of an account, unlike "new" and "names".
    path("accounts/-/new/", accounts.account_add, name="account-add"),
    path("accounts/-/names/", accounts.account_names, name="account-names"),
    path("accounts/-/deleted/", history.deleted_accounts, name="deleted-accounts"),
    path("accounts/-/history/", history.account_history, name="engine-history"),
    path("accounts/<account:name>/history/", history.account_history, name="account-history"),
    path("accounts/<account:name>/", accounts.account, name="account"),
    path("accounts/<account:name>/customers/", accounts.account_list, name="customer-list"),
    path("accounts/<account:name>/edit/", accounts.account_edit, name="account-edit"),
    path("accounts/<account:name>/suspend/", accounts.account_suspend, name="account-suspend"),
    path(
        "accounts/<account:name>/reactivate/",
        accounts.account_reactivate,
        name="account-reactivate",
    ),
    path("accounts/<account:name>/delete/", accounts.account_delete, name="account-delete"),
    path(
        "accounts/<account:name>/credentials/new/",
        credentials.credential_issue,
        name="credential-issue",
    ),
    path(
        "accounts/<account:name>/credentials/<int:pk>/edit/",
        credentials.credential_edit,
        name="credential-edit",
    ),
    path(
        "accounts/<account:name>/credentials/<int:pk>/revoke/",
        credentials.credential_revoke,
        name="credential-revoke",
    ),
    path(f"{WEBHOOKS}new/", webhooks.webhook_add, name="webhook-add"),
    path(f"{WEBHOOKS}<uuid:uuid>/", webhooks.webhook, name="webhook"),
    path(f"{WEBHOOKS}<uuid:uuid>/edit/", webhooks.webhook_edit, name="webhook-edit"),
    path(f"{WEBHOOKS}<uuid:uuid>/test/", webhooks.webhook_test, name="webhook-test"),
    path(f"{WEBHOOKS}<uuid:uuid>/rotate/", webhooks.webhook_rotate, name="webhook-rotate"),
    path(f"{WEBHOOKS}<uuid:uuid>/delete/", webhooks.webhook_delete, name="webhook-delete"),
    path(f"{DELIVERY}/", webhooks.delivery, name="delivery"),
    path(f"{DELIVERY}/again/", webhooks.delivery_again, name="delivery-again"),
    path(GREETINGS, sounds.sound_list, name="sound-list"),
    path(f"{GREETINGS}new/", sounds.sound_add, name="sound-add"),
    path(f"{GREETINGS}<uuid:uuid>/", sounds.sound, name="sound"),
    path(f"{GREETINGS}<uuid:uuid>/audio/", sounds.sound_audio, name="sound-audio"),
    path(f"{GREETINGS}<uuid:uuid>/edit/", sounds.sound_edit, name="sound-edit"),
    path(f"{GREETINGS}<uuid:uuid>/replace/", sounds.sound_replace, name="sound-replace"),
    path(f"{GREETINGS}<uuid:uuid>/delete/", sounds.sound_delete, name="sound-delete"),
    path(f"{GREETINGS}<uuid:uuid>/restore/", sounds.sound_restore, name="sound-restore"),
    path(
        f"{GREETINGS}<uuid:uuid>/put-back/<int:version>/",
        sounds.sound_put_back,
        name="sound-put-back",
    ),
    path("export/", export.export, name="export"),
    path("import/", imports.upload, name="import"),
    path("import/template.csv", imports.template, name="import-template"),
    path("import/<uuid:uuid>/", imports.preview, name="import-preview"),
    path("import/<uuid:uuid>/check/", imports.check, name="import-check"),
    path("import/<uuid:uuid>/write/", imports.write, name="import-write"),
    path("import/<uuid:uuid>/discard/", imports.discard, name="import-discard"),
    path("import/<uuid:uuid>/errors.csv", imports.errors, name="import-errors"),
    path("changes/", batches.batch_list, name="batch-list"),
    path("changes/<uuid:uuid>/", batches.batch, name="batch"),
    path("changes/<uuid:uuid>/undo/", batches.undo, name="undo"),
    path("jobs/", jobs.job_list, name="job-list"),
    path("jobs/again/", jobs.jobs_again, name="jobs-again"),
    path("jobs/<uuid:uuid>/again/", jobs.job_again, name="job-again"),
    path("staff/", staff.staff_list, name="staff-list"),
    path("staff/new/", staff.staff_add, name="staff-add"),
    path("staff/<int:pk>/", staff.staff_login, name="staff-login"),
    path("staff/<int:pk>/edit/", staff.staff_edit, name="staff-edit"),
    path("staff/<int:pk>/lock/", staff.staff_lock, name="staff-lock"),
    path("staff/<int:pk>/unlock/", staff.staff_unlock, name="staff-unlock"),
    path("staff/<int:pk>/password-link/", staff.staff_password_link, name="staff-password-link"),
    path("staff/<int:pk>/second-factor/", staff.staff_second_factor, name="staff-second-factor"),
    path("sign-in/", sign_in.sign_in, name="sign-in"),
    path("sign-in/code/", second_factor.sign_in_code, name="sign-in-code"),
    path(
        "sign-in/password/<uidb64>/<token>/", staff.SetPasswordView.as_view(), name="set-password"
    ),
    path("sign-out/", LogoutView.as_view(), name="sign-out"),
    path("me/", me.me, name="me"),
    path("me/password/", me.password, name="password"),
    path("me/second-factor/", second_factor.set_up, name="second-factor"),
    path("me/second-factor/start/", second_factor.start, name="second-factor-start"),
    path("me/second-factor/recovery-codes/", second_factor.recovery_codes, name="recovery-codes"),
    path("me/second-factor/off/", second_factor.turn_off, name="second-factor-off"),
]
