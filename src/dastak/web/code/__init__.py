"""What the form for a code shows: the verification, and what became of its message."""
