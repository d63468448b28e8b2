"""Carriers that are reached over HTTP: one client, driven by a profile file for each vendor."""
