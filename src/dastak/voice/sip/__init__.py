"""SIP from the calling side: a pure engine, and the sockets around it."""
