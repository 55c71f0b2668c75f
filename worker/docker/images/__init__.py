"""Images: on the host, at a registry, and on the way between."""
