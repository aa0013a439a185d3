"""Evolution strategies on latents, a batch of independent searches at once (S3)."""
