"""Networks by name, their checkpoints, the read-out of their units, and image priors."""
