"""The sound of calls: G.711 over RTP, keys, reports, and what SDP says of it."""
