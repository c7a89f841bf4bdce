"""Measurements: `make bench-growth`, `make burst`, and data for a load harness."""
