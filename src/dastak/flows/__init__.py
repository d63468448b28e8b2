"""One module per thing a caller can ask for: gather, decide, apply."""
