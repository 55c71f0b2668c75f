"""Settings and data tables. A leaf: nothing here imports `worker` or `tasks`."""
