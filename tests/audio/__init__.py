"""Tests of the audio that comes in and is kept."""
