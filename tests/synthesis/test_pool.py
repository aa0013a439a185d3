"""The pool: standard normal latents, the scores of single units, starts of the right length."""

import numpy as np
import pytest
import torch

from protoviz.config.synthesis import Objective
from protoviz.models import resnet
from protoviz.models.priors.fourier import Fourier
from protoviz.models.readout.network import Network
from protoviz.synthesis import pool
from protoviz.synthesis.rendering import Renderer

CENTRE = Objective(position="centre", activation="pre")
CPU = torch.device("cpu")


def test_latents_are_standard_normal():
    latents = pool.draw(4000, 16, "any")
    assert latents.mean().abs() < 5 / np.sqrt(latents.numel())
    torch.testing.assert_close(latents.T @ latents / 4000, torch.eye(16), atol=0.08, rtol=0)


@pytest.mark.parametrize("batch", [3, 64])
def test_scores_are_the_responses_of_single_units(batch):
    network = Network(resnet.initial("resnet18", 4, 1).eval(), 32)
    prior = Fourier(32)
    renderer = Renderer(prior, 32, torch.float32, CPU)
    latents = pool.draw(7, prior.latent_size, "a")
    layers = ["layer1", "layer3"]
    scores = pool.score(network, renderer, layers, CENTRE, latents, torch.float32, batch)
    images = network.normalise(prior.render(latents))
    for layer in layers:
        readout = network.readout(layer, CENTRE, torch.float32, CPU)
        (top, bottom), (left, right) = readout.window
        for channel in (0, network.layers[layer].channels - 1):
            alone = readout(images[:, :, top:bottom, left:right], torch.full((7,), channel))
            torch.testing.assert_close(alone, scores[layer][:, channel], rtol=1e-4, atol=1e-4)


def test_starts_recombine_the_best_at_their_own_length():
    latents = pool.draw(50, 8, "clrjit", 1, 0, 8)
    scores = torch.arange(50.0)[:, None].repeat(1, 2)
    scores[:, 1] = -scores[:, 1]
    start = pool.starts(latents, scores, 3)
    weights = pool.log_rank_weights(3)
    mean = weights @ latents[[49, 48, 47]]
    torch.testing.assert_close(start[0] / start[0].norm(), mean / mean.norm())
    torch.testing.assert_close(start[0].norm(), latents[[49, 48, 47]].norm(dim=1).mean())
    torch.testing.assert_close(pool.starts(latents, scores, 1)[1], latents[0])


def test_a_response_that_is_no_number_is_no_reason_to_start_there():
    latents = pool.draw(6, 8, "clrjit", 1, 0, 8)
    scores = torch.tensor([[torch.nan, 1.0], [3.0, torch.inf], [1.0, 2.0], [2.0, 0.0], [torch.inf, 3.0]])
    scores = torch.cat([scores, torch.full((1, 2), -torch.inf)])
    torch.testing.assert_close(pool.starts(latents, scores, 1), latents[[1, 4]])
    assert pool.starts(latents, torch.full((6, 1), torch.nan), 2).isfinite().all()
