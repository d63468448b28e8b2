"""What is refused before it costs money: limits, destinations, spend."""
