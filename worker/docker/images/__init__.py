"""Images: on the host, at a registry, and being pulled."""
