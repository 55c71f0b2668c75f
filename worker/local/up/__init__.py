"""`make up`: the whole stack in the foreground, kept by supervisord until it is told to end."""
