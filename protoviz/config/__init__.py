"""Typed parameters of a study, the presets, and what is said when a parameter is refused."""
