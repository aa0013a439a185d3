"""Functions for notebooks: from a network's checkpoints to prototypes, measures and the atlas."""
