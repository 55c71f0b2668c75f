"""Directories next to the data: bases, overlays, and what a container holds outside its volumes."""
