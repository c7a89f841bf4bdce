"""A private server that speaks S3, with one bucket."""

import os
import subprocess
import time
from contextlib import suppress
from urllib.error import HTTPError
from urllib.request import urlopen

from config.env import parse_bucket_url
from tests import requirements
from tests.postgres import free_port

BUCKET = "recordings"
KEY, SECRET = "mailboxes", "correct/horse+battery"


class S3Server:
    """Context manager: the server, with an empty bucket at `url`."""

    def __init__(self, folder):
        program = requirements.s3_server()
        if program is None:
            requirements.skip_or_fail("s3", "nanio, an S3 server, is not installed.")
        self.program, self.folder, self.port = program, folder, free_port()
        self.url = f"s3+http://{KEY}:correct%2Fhorse+battery@127.0.0.1:{self.port}/{BUCKET}"

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
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            with suppress(OSError):
                try:
                    urlopen(f"http://127.0.0.1:{self.port}/", timeout=2)
                except HTTPError:
                    return
            time.sleep(0.05)
        raise RuntimeError("The S3 server did not come up.")

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=30)

    def open_store(self, **options):
        from mailboxes.bucket import RecordingBucket

        return RecordingBucket(**parse_bucket_url(self.url) | options)
