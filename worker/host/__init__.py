"""All pods of one host: passes, events, its storage, and what other hosts left on it."""
