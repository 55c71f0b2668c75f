"""What goes in and out of running containers."""
