"""Landing pages: what a marketer builds without code, and what a visitor sees of it."""
