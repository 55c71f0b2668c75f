"""Requests of callers: accepted, refused or answered."""
