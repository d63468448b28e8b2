"""What the Makefile needs beyond other people's programs."""
