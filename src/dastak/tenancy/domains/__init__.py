"""Which tenant a host belongs to, and how a tenant proves that one is its own."""
