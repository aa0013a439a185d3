"""Prototypes: objectives, starts, ascent, receptive fields."""
