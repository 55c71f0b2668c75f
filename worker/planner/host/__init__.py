"""What is decided for a whole host: which store owns it, and what an empty store learns from it."""
