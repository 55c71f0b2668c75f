"""Input and output of running containers."""
