"""`make screens`: pictures for the docs of what the command line shows."""
