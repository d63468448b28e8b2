"""Listeners on events: metrics, logs, readiness."""
