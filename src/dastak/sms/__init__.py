"""Texts and the SMPP link that carries them."""
