"""Looking into a pod: what it printed, and commands that run in it."""
