"""Tests that need a machine for themselves: `make fresh` runs them where nothing was installed before."""
