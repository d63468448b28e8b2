"""Calls: the SIP engine, its media, the prompts, and what the person hears."""
