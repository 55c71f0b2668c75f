"""The local stack: what a developer's machine, a demonstration or a test needs besides the worker."""
