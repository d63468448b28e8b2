"""The telephone exchange in the box: a SIP server that rings virtual phones."""
