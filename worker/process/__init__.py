"""One worker process: its event loop, and the work that it does on its own."""
