"""A hundred callers at once, honest and hostile: the honest ones are served as if they were alone."""
