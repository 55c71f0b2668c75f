"""The durable records in Redis, and the only importer of redis."""
