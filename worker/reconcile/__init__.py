"""One pod: observed, planned for, changed and recorded, by one keeper at a time."""
