"""Training: augmentation, SimCLR, the linear probe, the generator."""
