"""What connects a private Engine's network namespace with this machine."""
