"""What others may see of a worker: figures, traces, and arguments without secrets."""
