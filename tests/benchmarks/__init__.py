"""Measurements: `make bench-growth`, and the service as the load harness fills and starts it."""
