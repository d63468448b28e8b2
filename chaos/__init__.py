"""Fault tests: break the running program in every way one machine can, and close the books afterwards."""
