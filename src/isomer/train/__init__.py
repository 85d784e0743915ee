"""Training: configuration, losses, and the loop that makes weights."""
