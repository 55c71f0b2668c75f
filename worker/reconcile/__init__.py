"""One pod: observed, planned for, changed, recorded, by one keeper at a time."""
