"""One seam for every verdict by a model."""
