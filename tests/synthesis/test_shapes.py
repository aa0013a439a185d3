"""Prototypes of one or many channels, higher or wider than square."""

import numpy as np
import pytest
import torch
from torch import nn

import protoviz
from protoviz.config.synthesis import Objective
from protoviz.errors import StudyError
from protoviz.models.priors import pixels
from protoviz.models.readout.network import Network
from protoviz.models.readout.windows import Span, Window
from protoviz.synthesis.rendering import Renderer
from tests.reference import networks, shapes

FEW = {"precision": "float32", "repeats": 1, "ascent": {"steps": 4}}
STILL = {"jitter": 0, "scale": (1, 1), "rotation": 0}


@pytest.mark.parametrize(("channels", "size"), shapes.SHAPES.values(), ids=shapes.SHAPES)
@pytest.mark.parametrize("prior", ["fourier", "pixels"])
@pytest.mark.parametrize("moves", [STILL, {"jitter": 2}], ids=["still", "moved"])
def test_what_is_stored_is_what_the_network_says(channels, size, prior, moves):
    module = shapes.module(channels)
    how = {"mean": [0.4] * channels, "std": [0.3] * channels}
    made = protoviz.synthesize(module, ["0:1-2", "3"], size=size, prior=prior, transforms=moves, **how, **FEW)
    height, width = (size, size) if isinstance(size, int) else size
    images = torch.from_numpy(made.image.to_numpy().reshape(8, height, width, channels)).permute(0, 3, 1, 2)
    with torch.no_grad():
        first = module[0]((images[:2] / 255 - 0.4) / 0.3)
        last = module((images[2:] / 255 - 0.4) / 0.3)
    row, column = (height - 3) // 2, (width - 3) // 2  # of the centre of a map (H - 2, W - 2)
    # The first layer's normalisation and its ReLU follow it; before them is its own output.
    expected = [
        *first[[0, 1], [1, 2], row, column],
        *last[range(6), range(6), (height - 5) // 2, (width - 5) // 2],
    ]
    np.testing.assert_allclose(
        made.activation.values.ravel(), torch.stack(expected).numpy(), rtol=1e-4, atol=1e-4
    )
    if moves == STILL:
        start = made.activation_trace.values[0, 0, 0, 0, :, 0]
        assert (made.activation.values.ravel() - start).mean() > 0.01


def test_tokens_of_wide_images_are_read_at_the_centre_of_their_grid():
    class Patches(nn.Module):
        def __init__(self):
            super().__init__()
            self.cut, self.mix = nn.Conv2d(1, 8, 4, 4), nn.Linear(8, 8)

        def forward(self, images):
            x = self.cut(images).flatten(2).transpose(1, 2)
            return self.mix(torch.cat([x.mean(1, keepdim=True), x], 1))

    network = Network(networks.drawn(Patches), (16, 40))
    assert network.layers["mix"].shape == (1 + 4 * 10,)
    objective = Objective(position="centre", activation="pre")
    assert network.position("mix", objective) == (1 + 1 * 10 + 4,)
    assert network.position("cut", objective) == (1, 4)


def test_the_image_centre_is_found_along_either_side():
    network = Network(shapes.module(1), (12, 20))
    assert network.position("3", Objective(position="image_centre", activation="pre")) in (
        (3, 7),
        (4, 8),
        (3, 8),
        (4, 7),
    )


@pytest.mark.parametrize("size", [(12, 20), (24, 10), 16])
def test_a_rendering_is_resized_to_each_side(size):
    """A window of it is a window of the whole, of images of another size and other proportions."""
    prior = pixels.Pixels((16, 12), 2)
    render = Renderer(prior, size, torch.float32, torch.device("cpu"))
    latents = torch.randn(3, prior.latent_size, generator=torch.Generator().manual_seed(0))
    whole = render(latents)
    height, width = (size, size) if isinstance(size, int) else size
    expected = nn.functional.interpolate(
        prior.render(latents), (height, width), mode="bilinear", antialias=True
    )
    torch.testing.assert_close(whole, expected)
    part = render.within(Window(Span(2, 7), Span(3, 10)))(latents)
    torch.testing.assert_close(part, whole[:, :, 2:7, 3:10])


class OfRgb:
    latent_size, image_size = 3 * 16 * 16, 16

    def render(self, latents):
        return latents.sigmoid().view(-1, 3, 16, 16)


def test_a_prior_of_other_channels_is_refused():
    with pytest.raises(
        StudyError, match=r"prior OfRgb: expected latents \(2, 768\) to render as images \(2, 1, 16, 16\)"
    ):
        protoviz.synthesize(shapes.module(1), "0", size=16, prior=OfRgb(), **FEW)


def test_learnt_priors_are_refused():
    with pytest.raises(
        StudyError, match=r"'deepsim': expected a network of RGB squares.*1 channel and 12 x 20 px"
    ):
        protoviz.synthesize(shapes.module(1), "0", size=(12, 20), prior="deepsim", weights="w.pt", **FEW)
