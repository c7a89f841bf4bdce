"""How fast it is, and whether it stays so: `make bench` and `make bench-growth`."""
