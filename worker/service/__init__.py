"""What callers ask for: accepted, refused or answered."""
