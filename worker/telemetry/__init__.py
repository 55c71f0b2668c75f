"""What others may see of a worker: metrics, traces, and arguments without secrets."""
