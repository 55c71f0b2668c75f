"""What to do next for a pod: pure, from what should be and what is."""
