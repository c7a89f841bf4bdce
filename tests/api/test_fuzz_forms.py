"""Generated forms with parts that are wrong: a refused one leaves nothing behind."""

import os

import pytest
from django.core.files.storage import storages
from django.db import transaction
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

from mailboxes.models import Message
from tests.recordings import make_part, make_raw_form, make_wav

pytestmark = pytest.mark.long

EXAMPLES = 20 * int(os.environ.get("FUZZ_EXAMPLES", "12"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))

WAV = make_wav(seconds=1)
NAMES = ["recording", "caller_id_name", "caller_id_number", "received_at", "call_id", "x", ""]
DISPOSITIONS = ["", '; filename="a.wav"', "; filename*=utf-16''%FF", '; filename=""', ';;="']
HEADERS = [
    *("", "", "Content-Type: audio/wav\r\n", "Content-Type: text/plain; charset=utf-16\r\n"),
    *("Content-Transfer-Encoding: base64\r\n", "Content-Length: -1\r\n", "X" * 9000 + ": x\r\n"),
]
CONTENTS = st.sampled_from([WAV, WAV[:-9], b"", b"2023-06-02", "Zoë".encode()]) | st.binary()
PARTS = st.builds(
    make_part,
    st.sampled_from(NAMES),
    CONTENTS,
    st.sampled_from(DISPOSITIONS),
    st.sampled_from(HEADERS),
)
FORMS = st.builds(
    lambda parts, end, kind: make_raw_form(*parts, end=end, content_type=kind),
    st.lists(PARTS | st.just(make_part("recording", WAV, DISPOSITIONS[1])) | st.binary()),
    st.sampled_from([b"--b--\r\n", b"", b"--b", b"\r\n--b--junk"]),
    st.sampled_from(["multipart/form-data; boundary=b", "multipart/form-data", "text/plain"]),
)


def count_recordings() -> int:
    return sum(1 for _ in storages["recordings"].walk())


def test_any_form_is_answered_and_a_refused_one_leaves_nothing(service, path):
    statuses = set()

    @seed(SEED)
    @settings(
        max_examples=EXAMPLES, database=None, suppress_health_check=list(HealthCheck), deadline=None
    )
    @given(FORMS)
    def send(form):
        files = count_recordings()
        with transaction.atomic():
            answer = service.post(path, **form)
            assert answer.status in (200, 201, 400, 415)
            assert answer.json["status_code"] == answer.status
            is_added = answer.status == 201
            assert (Message.objects.count(), count_recordings() - files) == (is_added, is_added)
            transaction.set_rollback(True)
        statuses.add(answer.status)

    send()
    assert statuses >= {201, 400, 415}
