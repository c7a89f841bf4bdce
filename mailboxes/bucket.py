"""The store of recordings in a bucket that speaks S3: needs django-storages[s3]."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from http import HTTPStatus
from io import BytesIO
from typing import IO

from boto3.exceptions import Boto3Error
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from django.core.files.base import File
from storages.backends.s3 import S3Storage

from mailboxes.storage import RECORDING

# Some servers refuse uploads over HTTPS with a checksum after the body (Ceph: MissingContentLength).
CLIENT = Config(
    s3={"addressing_style": "path"},
    signature_version="s3v4",
    connect_timeout=5,  # seconds
    read_timeout=30,
    retries={"total_max_attempts": 3},
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
)


class RecordingBucket(S3Storage):
    """Objects of one bucket. Raises OSError, as a folder does."""

    is_folder = False

    def __init__(self, **options):
        # Names are unique, so there is no need to ask if one exists.
        super().__init__(**options, file_overwrite=True, default_acl=None, client_config=CLIENT)

    def _open(self, name, mode="rb"):
        with as_os_error():
            return File(BytesIO(self.bucket.Object(name).get()["Body"].read()), name)

    def _save(self, name, content):
        with as_os_error():
            return super()._save(name, content)

    def delete(self, name):
        with as_os_error():
            self.bucket.Object(name).delete()

    def replace(self, name: str, content: IO[bytes]) -> None:
        """Save the object under exactly this name, in place of one that is there."""
        with as_os_error():
            self.bucket.Object(name).upload_fileobj(content)

    def walk(self) -> Iterator[tuple[str, datetime]]:
        """Yield the name and time of each recording."""
        with as_os_error():
            for each in self.bucket.objects.all():
                if RECORDING.fullmatch(each.key):
                    yield each.key, each.last_modified


@contextmanager
def as_os_error() -> Iterator[None]:
    """Raise FileNotFoundError for a missing object, and OSError for other faults."""
    try:
        yield
    except ClientError as error:
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        code = error.response.get("Error", {}).get("Code")
        if status == HTTPStatus.NOT_FOUND and code != "NoSuchBucket":
            raise FileNotFoundError(str(error)) from error
        raise OSError(str(error)) from error
    except (BotoCoreError, Boto3Error) as error:
        raise OSError(str(error)) from error
