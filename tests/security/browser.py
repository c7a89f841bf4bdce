"""A minimal browser that keeps cookies, follows no redirect, and acts as a proxy."""

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


def create_superuser(name) -> User:
    """Create a superuser with PASSWORD, hashed in a way that the real server accepts.

    Tests use another hasher than the server. Of the server's, this one checks a password fastest.
    """
    user = User(username=name, is_staff=True, is_superuser=True)
    hasher = ScryptPasswordHasher()
    user.password = hasher.encode(PASSWORD, hasher.salt(), n=2, r=1, p=1)
    user.save()
    return user


class Browser:
    """Sends `address` and `scheme` as a proxy does. `received` has each cookie of each answer."""

    def __init__(self, port, address="192.0.2.7", scheme="https"):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        self.proxy = {"X-Forwarded-For": address, "X-Forwarded-Proto": scheme, "Host": HOST}
        self.cookies = {}
        self.received = []

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.connection.close()

    def call(self, method, path, body=None, **headers) -> Answer:
        cookies = {"Cookie": self.join_cookies()} if self.cookies else {}
        headers = self.proxy | cookies | headers
        self.connection.request(method, path, body=body, headers=headers)
        response = self.connection.getresponse()
        for line in response.headers.get_all("Set-Cookie", []):
            for name, cookie in SimpleCookie(line).items():
                self.received.append(cookie)
                self.cookies[name] = cookie.value
        lower = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, lower, response.read())

    def join_cookies(self) -> str:
        """Return the value of the Cookie header."""
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())

    def get(self, path, **headers) -> Answer:
        return self.call("GET", path, **headers)

    def post(self, path, form=None, **headers) -> Answer:
        """Send a form as its own page does, with the CSRF token and the Referer header."""
        token = {"csrfmiddlewaretoken": self.cookies.get("csrftoken", "")}
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Referer": f"https://{HOST}{path}",
        } | headers
        return self.call("POST", path, urlencode(token | (form or {})), **headers)

    def upload(self, path, data: str | bytes) -> Answer:
        """Send the text or bytes as a CSV file in a page's form."""
        data = data.encode() if isinstance(data, str) else data
        file = SimpleUploadedFile("mailboxes.csv", data)
        form = {"csrfmiddlewaretoken": self.cookies["csrftoken"], "file": file}
        headers = {"Content-Type": MULTIPART_CONTENT, "Referer": f"https://{HOST}{path}"}
        return self.call("POST", path, encode_multipart(BOUNDARY, form), **headers)

    def sign_in(self, username="rosa", password=PASSWORD, **headers) -> Answer:
        """Open the sign-in page, fill it in and send it."""
        self.get("/sign-in/")
        return self.post("/sign-in/", {"username": username, "password": password}, **headers)
