"""Choosing a way out: routing and failover."""
