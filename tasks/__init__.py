"""The tasks that other programs call by name. They are thin: parse, call, shape the answer."""
