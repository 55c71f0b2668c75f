"""Settings and data tables. A leaf: nothing in here imports `worker` or `tasks`."""
