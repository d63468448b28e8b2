"""A small bank that uses Dastak as any customer does: through the Python client and nothing else of ours."""
