"""What is decided over all pods of one host: whose it is, and what an empty store learns from it."""
