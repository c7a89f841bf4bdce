"""The waveform of a recording."""

from array import array

import pytest

from mailboxes.audio.recordings import PEAKS, Recording, describe_seconds


def compute_peaks(samples) -> list[int]:
    return list(Recording(8_000, array("h", samples).tobytes()).compute_peaks())


def test_waveform_has_the_loudest_sample_of_each_part():
    parts = [[0] * 9 + [part * 150 * (-1) ** part] for part in range(PEAKS)]
    peaks = compute_peaks([sample for part in parts for sample in part])
    assert peaks == pytest.approx([part * 150 / 128 for part in range(PEAKS)], abs=2)


@pytest.mark.parametrize(("sample", "peak"), [(0, 0), (-1, 0), (32_767, 254), (-32_768, 254)])
def test_waveform_of_the_extremes(sample, peak):
    assert compute_peaks([sample] * 1_000) == [peak] * PEAKS


def test_waveform_of_few_samples_is_complete():
    assert len(compute_peaks([1_000])) == PEAKS


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(900, "15 minutes"), (60, "1 minute"), (90, "90 seconds"), (1, "1 second")],
)
def test_length_is_described_as_people_say_it(seconds, text):
    assert describe_seconds(seconds) == text
