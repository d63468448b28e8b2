"""The voice engine in a process of its own, and what the main program has of it."""
