"""Benchmarks on loopback: the server on one core, the load and the carrier on the other."""
