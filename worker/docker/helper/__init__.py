"""Containers of ours in which tools run next to a pool's data, and the Engine's part of filling a pool."""
