"""Fixtures for attacks: a server as in production, a browser, and a row of each kind."""

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.models import Group, User
from django.core.files.uploadedfile import SimpleUploadedFile
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

from mailboxes.csvfiles import importing
from mailboxes.delivery.webhooks import send
from mailboxes.models import (
    Account,
    ApiCredential,
    Batch,
    EmailRecipient,
    Mailbox,
    Message,
    Sound,
    WebhookEndpoint,
)
from tests.conftest import database_url
from tests.delivery.running import fail_task
from tests.delivery.webhooks import create_webhook
from tests.messages import leave_message
from tests.security.browser import Browser, create_superuser
from tests.server import Server
from tests.sounds import create_sound

# Each of these runs if a page does not escape it: in text, in an attribute, in a script, in a
# template or in a link.
SCRIPTS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "' autofocus onfocus='alert(3)",
    "</title></textarea></script><svg onload=alert(4)>",
    "javascript:alert(5)//{{7*7}}{% now 'Y' %}",
    "\\u003cscript\\u003ealert(6)\\u003c/script\\u003e",
]


@pytest.fixture(scope="session")
def production(django_db_setup):
    """A server with HTTPS on, behind a proxy on this machine."""
    with Server(database_url(), HTTPS="on", TRUSTED_PROXIES="127.0.0.1") as running:
        yield running


@pytest.fixture
def browser(production):
    """A browser at the production server, not signed in."""
    with Browser(production.port) as browser:
        yield browser


@pytest.fixture
def rosa(db):
    return create_superuser("rosa")


@pytest.fixture
def rows(account, rosa):
    """One row of each kind that an address can name, by the name of its kind."""
    mailbox = Mailbox.objects.create(account=account, name="Sales", password="8305")
    recipient = mailbox.add_recipient("ann@acme.example")
    credential, _ = ApiCredential.objects.issue(account, "pbx")
    hugo = User.objects.create_user("hugo", is_staff=True)
    file = SimpleUploadedFile("mailboxes.csv", b"account,name,password\nacme,Support,12\n")
    source = importing.stage_file(rosa, file, file.name)
    importing.check_rows(source, seconds=60)
    webhook = create_webhook(account)
    return {
        "account": account,
        "mailbox": mailbox,
        "emailrecipient": recipient,
        "apicredential": credential,
        "import": source,
        "webhookendpoint": webhook,
        "webhookdelivery": send(webhook, "mailbox.updated", {"name": "Sales"}),
        "sound": create_sound(account),
        "message": leave_message(mailbox, "Bob", text="Call me back."),
        "task": fail_task(),
        "batch": Batch.objects.create(user=rosa, action=Batch.Action.CHANGED, count=1),
        "user": hugo,
        "group": Group.objects.get(name="Viewer"),
        "accessattempt": AccessAttempt.objects.create(
            username="hugo", ip_address="192.0.2.1", failures_since_start=1
        ),
        "totpdevice": TOTPDevice.objects.create(user=hugo),
        "staticdevice": StaticDevice.objects.create(user=hugo),
    }


@pytest.fixture
def script_rows(rows):
    """The rows of each kind, with a script in each text field."""
    text = SCRIPTS[0]
    Account.objects.update(contact_name=text)
    Account.objects.create(name="customer", contact_name=text, reseller=rows["account"])
    ApiCredential.objects.update(name=text, networks="192.0.2.0/24")
    Message.objects.update(caller_id_name=text, caller_id_number=SCRIPTS[4])
    rows["message"].transcription = text
    rows["message"].save()
    send(rows["webhookendpoint"], "message.received", {"caller_id_name": text})
    WebhookEndpoint.objects.update(url=text)
    delivery = rows["webhookdelivery"]
    delivery.log_attempt(500, text)
    delivery.save()
    Sound.objects.update(name=text, tag=SCRIPTS[1], file_name=SCRIPTS[2])
    Sound.history.update(name=text, tag=SCRIPTS[1])
    EmailRecipient.objects.update(email='"<script>alert(7)</script>"@acme.example')
    User.objects.filter(username="hugo").update(first_name=text, last_name=text, email=text)
    for number, script in enumerate(SCRIPTS):
        mailbox = rows["mailbox"] if number == 0 else Mailbox(account=rows["account"])
        mailbox.name = script
        mailbox.save()
    cells = ",".join('"{}"'.format(script.replace('"', '""')) for script in SCRIPTS[:3])
    file = SimpleUploadedFile("x", f"account,name,password\n{cells}\n".encode())
    source = importing.stage_file(User.objects.get(username="rosa"), file, SCRIPTS[1])
    importing.check_rows(source, seconds=60)
    return rows | {"import": source}
