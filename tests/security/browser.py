"""A browser at a real server, through a proxy: keeps cookies, follows nothing, sends what it is told."""

import http.client
from http.cookies import SimpleCookie
from urllib.parse import urlencode

from django.contrib.auth.hashers import ScryptPasswordHasher
from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test.client import BOUNDARY, MULTIPART_CONTENT, encode_multipart

from tests.service import Answer

PASSWORD = "correct horse"
HOST = "localhost"


def superuser(name) -> User:
    """Staff with every right, whose password the real server knows: tests keep theirs another way.

    Of the ways it knows, the one by which a wrong password takes no third of a second.
    """
    user = User(username=name, is_staff=True, is_superuser=True)
    hasher = ScryptPasswordHasher()
    user.password = hasher.encode(PASSWORD, hasher.salt(), n=2, r=1, p=1)
    user.save()
    return user


class Browser:
    """`address` is the person's, as the proxy tells it; every answer's cookies are in `given`."""

    def __init__(self, port, address="192.0.2.7", scheme="https"):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self.proxy = {"X-Forwarded-For": address, "X-Forwarded-Proto": scheme, "Host": HOST}
        self.cookies = {}
        self.given = []

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.connection.close()

    def call(self, method, path, body=None, **headers) -> Answer:
        said = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        headers = self.proxy | ({"Cookie": said} if said else {}) | headers
        self.connection.request(method, path, body=body, headers=headers)
        response = self.connection.getresponse()
        for line in response.headers.get_all("Set-Cookie", []):
            for name, cookie in SimpleCookie(line).items():
                self.given.append(cookie)
                self.cookies[name] = cookie.value
        found = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, found, response.read())

    def get(self, path, **headers) -> Answer:
        return self.call("GET", path, **headers)

    def post(self, path, form=None, **headers) -> Answer:
        """Send a form as its own page does: with the page's token, and saying where it stands."""
        token = {"csrfmiddlewaretoken": self.cookies.get("csrftoken", "")}
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Referer": f"https://{HOST}{path}",
        } | headers
        return self.call("POST", path, urlencode(token | (form or {})), **headers)

    def upload(self, path, text) -> Answer:
        """Send a CSV file by a page's form."""
        file = SimpleUploadedFile("mailboxes.csv", text.encode())
        form = {"csrfmiddlewaretoken": self.cookies["csrftoken"], "file": file}
        headers = {"Content-Type": MULTIPART_CONTENT, "Referer": f"https://{HOST}{path}"}
        return self.call("POST", path, encode_multipart(BOUNDARY, form), **headers)

    def sign_in(self, username="rosa", password=PASSWORD, **headers) -> Answer:
        """Open the page, fill it in, send it."""
        self.get("/sign-in/")
        return self.post("/sign-in/", {"username": username, "password": password}, **headers)
