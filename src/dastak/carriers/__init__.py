"""The carriers of an installation: written down by their operator, opened, tried and closed while it runs."""
