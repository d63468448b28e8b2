"""The code page at an address of its own."""
