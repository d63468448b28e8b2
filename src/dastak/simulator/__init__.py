"""A carrier and phones in a box, speaking the real protocols and able to misbehave."""
