"""The limits of what a model may be set to, in one place: far beyond anything that trains, and far
below what takes all memory before anyone is told."""

SIDES = (1, 8192)
"""Pixels along the side of an image or of a plane."""
WIDTHS = (1, 16_384)
"""Channels of a layer."""
DEPTHS = (1, 1000)
"""Layers of a network."""
MOST_CODES = 2**24
MOST_CLASSES = 1_000_000
LENGTHS = (0.0001, 1_000_000)
"""Distances and sizes, in world units."""
FIELDS_OF_VIEW = (0.1, 179.9)
"""Of cameras, in degrees."""
FACTORS = (0, 1_000_000)
"""Weights of terms, and factors on what is learned."""
