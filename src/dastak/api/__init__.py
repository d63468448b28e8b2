"""The flows over HTTP."""
