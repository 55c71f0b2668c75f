"""What goes on inside a pod: what it printed, and one command at a time run in it."""
