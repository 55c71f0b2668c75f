"""All pods of one host: passes, events, its storage, and what others left on it."""
