"""A mail server for tests that keeps mails, and can refuse them or break off."""

import email
import threading
from collections import Counter
from email import policy

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP

from tests.postgres import free_port

OK = "250 OK"


class Mailman(Controller):
    """Context manager: an SMTP server on 127.0.0.1 that keeps the mails of each address.

    `refusals` has the answer to an address, and `data_answers` that to its mail, until it is
    removed. `drops` has the addresses whose mails are kept, but the connection is cut in place of
    an answer; `cuts` those whose connection is cut after the answer.
    """

    def __init__(self):
        self.mails: list[tuple[str, bytes]] = []
        self.refusals: dict[str, str] = {}
        self.data_answers: dict[str, str] = {}
        self.sender_answer = OK
        self.drops: set[str] = set()
        self.cuts: set[str] = set()
        self.attempts: Counter[str] = Counter()
        self.lock = threading.Lock()
        super().__init__(self, hostname="127.0.0.1", port=free_port())

    def factory(self):
        return SMTP(self, hostname="mail.test", enable_SMTPUTF8=True)

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *error):
        self.stop()

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    async def handle_MAIL(self, server, session, envelope, address, options):  # noqa: N802
        if self.sender_answer == OK:
            envelope.mail_from = address
        return self.sender_answer

    async def handle_RCPT(self, server, session, envelope, address, options):  # noqa: N802
        self.attempts[address] += 1
        if address in self.refusals:
            return self.refusals[address]
        envelope.rcpt_tos.append(address)
        return OK

    async def handle_DATA(self, server, session, envelope):  # noqa: N802
        [address] = envelope.rcpt_tos
        if address in self.data_answers:
            return self.data_answers[address]
        with self.lock:
            self.mails.append((address, envelope.content))
        if address in self.drops:
            server.transport.abort()
        elif address in self.cuts:
            server.transport.write(b"250 OK\r\n")
            server.transport.close()
        return OK

    def list_addresses(self) -> list[str]:
        return sorted(address for address, _content in self.mails)

    def read_mail(self, address):
        """Return the only mail to the address, parsed."""
        [content] = [content for to, content in self.mails if to == address]
        return email.message_from_bytes(content, policy=policy.default)
