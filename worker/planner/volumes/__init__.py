"""What becomes of a pod's data: where it is, and what survives when a container is replaced."""
