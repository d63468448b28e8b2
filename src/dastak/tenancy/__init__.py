"""Who asks, under which policy, with which credential."""
