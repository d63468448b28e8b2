"""What several nodes on one database share: who lives, and which binds to carriers each holds."""
