"""The pod worker: keeps every pod as its intent says, on volumes that outlive its container."""
