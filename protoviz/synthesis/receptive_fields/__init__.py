"""Receptive fields: sensitivity maps, and Gaussians fitted to them."""
