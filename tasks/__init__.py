"""The tasks that other programs call by name. Thin: parse, call, shape the answer."""
