"""A long time of everything failing at random, against a model."""
