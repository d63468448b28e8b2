"""Calls by carriers that are reached over HTTP: they fetch what to say, turn by turn, and post the keys."""
