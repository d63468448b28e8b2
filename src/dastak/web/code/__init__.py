"""The code page: what it shows, what became of the message, and the page at an address of its own."""
