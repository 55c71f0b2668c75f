"""One worker process: its event loop, and the work that runs by itself."""
