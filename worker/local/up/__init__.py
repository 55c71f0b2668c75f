"""`make up`: the whole stack in the foreground, kept by supervisord until it gets a signal to end."""
