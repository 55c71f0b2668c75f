"""A zoo of small images: what published images have in odd places, made on the spot."""
