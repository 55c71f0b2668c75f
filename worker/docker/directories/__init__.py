"""Directories next to the data: bases, overlays, what a container's own root holds."""
