"""Image priors: differentiable maps from latents to images."""
