"""Measurements: `make bench-growth`, and the data and settings for a load harness."""
