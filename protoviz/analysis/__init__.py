"""Distances between prototypes, measures, masks, appearance, settling, maps and findings."""
