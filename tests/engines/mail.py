"""A mail server that keeps its mails, and a sendmail that sends to it.

`python -m tests.engines.mail PORT` sends the message on standard input, like `sendmail -t`.
"""

import email
import smtplib
import socketserver
import sys
import threading
from email import policy
from email.utils import getaddresses


class Conversation(socketserver.StreamRequestHandler):
    """The part of RFC 5321 that smtplib uses."""

    def handle(self):
        self.send_reply("220 tests")
        to = []
        while line := self.rfile.readline().decode().strip():
            match line.split()[0].upper():
                case "EHLO":
                    self.send_reply("250 tests")
                case "RCPT":
                    to.append(line.partition("<")[2].partition(">")[0])
                    self.send_reply("250 ok")
                case "DATA":
                    self.send_reply("354 go on")
                    self.server.mails_by_address |= dict.fromkeys(to, self.read_message())
                    self.send_reply("250 kept")
                case "QUIT":
                    return self.send_reply("221 bye")
                case _:
                    self.send_reply("250 ok")
        return None

    def read_message(self):
        lines = iter(self.rfile.readline, b".\r\n")
        body = b"".join(line.removeprefix(b".") for line in lines)
        return email.message_from_bytes(body, policy=policy.default)

    def send_reply(self, reply):
        self.wfile.write(f"{reply}\r\n".encode())


class MailServer(socketserver.ThreadingTCPServer):
    """Context manager: a server that keeps the last mail to each address."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Conversation)
        self.mails_by_address, self.port = {}, self.server_address[1]

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error):
        self.shutdown()
        self.server_close()


def send(message, port):
    """Send to the recipients in the headers, without the header Bcc."""
    headers = [line for name in ("To", "Cc", "Bcc") for line in message.get_all(name, [])]
    to = [address for _name, address in getaddresses(headers) if address]
    del message["Bcc"]
    with smtplib.SMTP("127.0.0.1", port) as server:
        server.sendmail("voicemail@example.com", to, message.as_bytes())


if __name__ == "__main__":
    send(email.message_from_binary_file(sys.stdin.buffer), int(sys.argv[1]))
