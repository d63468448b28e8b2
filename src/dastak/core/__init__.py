"""The rules: no clock, no network, no database."""
