"""A mail server that keeps what it is sent, and a sendmail that sends to it.

python -m tests.engines.mail PORT    sends the message on standard input, as `sendmail -t` does
"""

import email
import smtplib
import socketserver
import sys
import threading
from email import policy
from email.utils import getaddresses


class Conversation(socketserver.StreamRequestHandler):
    """As much of RFC 5321 as smtplib speaks."""

    def handle(self):
        self.say("220 tests")
        to = []
        while line := self.rfile.readline().decode().strip():
            match line.split()[0].upper():
                case "EHLO":
                    self.say("250 tests")
                case "RCPT":
                    to.append(line.partition("<")[2].partition(">")[0])
                    self.say("250 ok")
                case "DATA":
                    self.say("354 go on")
                    self.server.kept |= dict.fromkeys(to, self.message())
                    self.say("250 kept")
                case "QUIT":
                    return self.say("221 bye")
                case _:
                    self.say("250 ok")
        return None

    def message(self):
        lines = iter(self.rfile.readline, b".\r\n")
        body = b"".join(line.removeprefix(b".") for line in lines)
        return email.message_from_bytes(body, policy=policy.default)

    def say(self, reply):
        self.wfile.write(f"{reply}\r\n".encode())


class MailServer(socketserver.ThreadingTCPServer):
    """`with MailServer() as server:` listening on `server.port`; the last mail to each address is in `server.kept`."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Conversation)
        self.kept, self.port = {}, self.server_address[1]

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *error):
        self.shutdown()
        self.server_close()


def send(message, port):
    """To whomever its headers name, who are not told of those that only Bcc names."""
    named = [line for name in ("To", "Cc", "Bcc") for line in message.get_all(name, [])]
    to = [address for _name, address in getaddresses(named) if address]
    del message["Bcc"]
    with smtplib.SMTP("127.0.0.1", port) as server:
        server.sendmail("voicemail@example.com", to, message.as_bytes())


if __name__ == "__main__":
    send(email.message_from_binary_file(sys.stdin.buffer), int(sys.argv[1]))
