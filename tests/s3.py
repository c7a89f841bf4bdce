"""A private server that speaks S3, with one bucket."""

import os
import socket
import subprocess
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote

from config.env import parse_bucket_url
from tests import requirements
from tests.postgres import free_port
from tests.server import until

BUCKET = "recordings"
KEY, SECRET = "mailboxes", "correct/horse+battery"


class S3Server:
    """Context manager: nanio, with an empty bucket at `url`."""

    scheme = "s3+http"
    certificate: Path | None = None

    def __init__(self, folder: Path):
        program = requirements.s3_server()
        if program is None:
            requirements.skip_or_fail("s3", "nanio, an S3 server, is not installed.")
        self.program, self.folder, self.port = program, folder, free_port()

    @property
    def url(self) -> str:
        return f"{self.scheme}://{KEY}:{quote(SECRET, safe='')}@127.0.0.1:{self.port}/{BUCKET}"

    @property
    def environment(self) -> dict:
        """Return the settings of a service that uses the bucket."""
        trusted = {"AWS_CA_BUNDLE": str(self.certificate)} if self.certificate else {}
        return {"RECORDINGS_URL": self.url, "RECORDINGS_DIR": ""} | trusted

    def __enter__(self):
        self.start()
        self.open_store().connection.create_bucket(Bucket=BUCKET)
        return self

    def __exit__(self, *error):
        self.stop()

    def start(self):
        options = ["--data-dir", str(self.folder), "--host", "127.0.0.1", "--port", str(self.port)]
        self.process = subprocess.Popen(
            [self.program, "serve", *options],
            env=os.environ | {"NANIO_ACCESS_KEY": KEY, "NANIO_SECRET_KEY": SECRET},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        until(self.is_up)

    def is_up(self) -> bool:
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 2):
            return True
        return False

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=30)

    def open_store(self, **options):
        from mailboxes.bucket import RecordingBucket

        trusted = {"verify": str(self.certificate)} if self.certificate else {}
        return RecordingBucket(**parse_bucket_url(self.url) | trusted | options)
