"""Pods on a pool: what follows from their subvolume, and where in it their volumes are."""
