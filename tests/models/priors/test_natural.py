"""The prior `natural`: its file comes with the package, and what is no such file is refused."""

from importlib import resources
from pathlib import Path

import pytest
import torch

import protoviz
from protoviz import files
from protoviz.errors import StudyError
from protoviz.models.priors import base, generator, natural
from protoviz.store import attributes

CARD = Path(__file__).parents[3] / "docs" / "natural_prior.md"
SMALL = natural.Shape(latent_size=10, widths=(8, 6, 4), image_size=16)


def small(seed=0):
    return natural.initial(SMALL, torch.Generator().manual_seed(seed)).eval()


@pytest.fixture(scope="module")
def shipped():
    return base.load("natural", size=96)


def test_the_file_comes_with_the_package(shipped):
    place = resources.files("protoviz.models.priors") / natural.SHIPPED.name
    assert place.read_bytes() == natural.SHIPPED.read_bytes()
    assert natural.SHIPPED.stat().st_size < 12e6
    assert shipped.sha256 == natural.SHA256 == files.sha256(natural.SHIPPED)
    assert (shipped.latent_size, shipped.image_size) == (384, 64)
    assert f"SHA-256 `{natural.SHA256}`" in CARD.read_text(), "the card describes another file"


def test_latents_of_every_usual_length_render_to_images(shipped):
    draws = torch.randn(16, 384, generator=torch.Generator().manual_seed(0))
    for length in (0.0, 0.5, 1.0, 2.0):
        images = shipped.render(length * draws)
        assert images.shape == (16, 3, 64, 64)
        assert images.min() >= 0
        assert images.max() <= 1
    usual = shipped.render(draws)
    neighbours = (usual[..., 1:] - usual[..., :-1]).square().mean().sqrt()
    assert neighbours < usual.std() / 2, "as in photographs, neighbouring pixels are alike"
    assert usual.std(0).mean() > 0.15, "and images differ"


def test_the_gradient_reaches_every_component(shipped):
    latents = torch.randn(2, 384, generator=torch.Generator().manual_seed(0)).requires_grad_()
    weight = torch.randn(3, 64, 64, generator=torch.Generator().manual_seed(1))
    (gradient,) = torch.autograd.grad((shipped.render(latents) * weight).sum(), latents)
    assert (gradient.abs() > 0).all()


def test_a_file_comes_back_rounded_to_float16(tmp_path):
    decoder = small()
    for name in "ab":
        natural.save(tmp_path / name, decoder, {"photographs": 3})
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert next(decoder.parameters()).dtype == torch.float32, "what is saved stays as it was"
    back = base.load("natural", weights=tmp_path / "a", sha256=files.sha256(tmp_path / "a"))
    for name, tensor in decoder.state_dict().items():
        assert torch.equal(back.state_dict()[name], tensor.half().float())
    latents = torch.randn(3, 10)
    torch.testing.assert_close(back.render(latents), decoder.render(latents), atol=5e-3, rtol=0)
    assert (back.latent_size, back.image_size, back.sha256) == (10, 16, files.sha256(tmp_path / "a"))


def test_layers_begin_with_unit_variance():
    decoder = natural.initial(natural.Shape(64, (32, 32, 32), 32), torch.Generator().manual_seed(0))
    x = torch.randn(64, 64, generator=torch.Generator().manual_seed(1))
    for layer in decoder.layers[:-2]:
        x = layer(x)
        if isinstance(layer, torch.nn.Linear | torch.nn.Conv2d | torch.nn.ConvTranspose2d):
            assert 0.8 < x.square().mean().sqrt() < 1.6, "edges have less: they sum over fewer places"
    assert float(decoder.render(torch.zeros(1, 64)).detach().mean()) == pytest.approx(0.5)


def test_another_digest_is_refused(tmp_path):
    natural.save(tmp_path / "w", small(), {})
    with pytest.raises(StudyError, match=r"w: expected SHA-256 0{64}, found [0-9a-f]{64}"):
        base.load("natural", weights=tmp_path / "w", sha256="0" * 64)
    with pytest.raises(StudyError, match=rf"expected SHA-256 0{{64}}, found {natural.SHA256}"):
        base.load("natural", sha256="0" * 64)


def test_the_shipped_file_must_be_whole(tmp_path, monkeypatch):
    damaged = bytearray(natural.SHIPPED.read_bytes())
    damaged[-1] ^= 1
    (tmp_path / "w").write_bytes(damaged)
    monkeypatch.setattr(natural, "SHIPPED", tmp_path / "w")
    with pytest.raises(StudyError, match=rf"w: expected SHA-256 {natural.SHA256}.*install protoviz again"):
        base.load("natural")
    (tmp_path / "w").unlink()
    with pytest.raises(StudyError, match=r"w: expected .*found nothing; install protoviz again"):
        base.load("natural")


def test_a_file_of_another_kind_or_shape_is_refused(tmp_path):
    (tmp_path / "w").write_bytes(b"\x00" * 100)
    with pytest.raises(StudyError, match=r"w: expected a natural prior written by protoviz"):
        natural.load(tmp_path / "w")
    generator.save(tmp_path / "w", generator.Decoder(generator.Shape(10, 16, 16)))
    with pytest.raises(StudyError, match=r"w: expected a natural prior written by protoviz"):
        natural.load(tmp_path / "w")
    decoder = small()
    decoder.shape = natural.Shape(11, SMALL.widths, 16)
    natural.save(tmp_path / "w", decoder, {})
    with pytest.raises(StudyError, match=r"w: expected a natural prior written by protoviz.*size mismatch"):
        natural.load(tmp_path / "w")


@pytest.mark.parametrize("size", [32, 96])
def test_prototypes_of_any_network_by_name(size):
    network = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.ReLU(), torch.nn.Conv2d(4, 5, 3))
    made = protoviz.synthesize(
        network, "2:0-1", prior="natural", size=size, repeats=1, ascent={"steps": 4}, start={"pool": 16}
    )
    assert made.image.shape[-3:] == (size, size, 3)
    assert attributes.read(made)["prior"] == {"name": "natural", "sha256": natural.SHA256}
    trace = made.activation_trace.to_numpy().reshape(2, -1)
    assert (trace[:, -1] > trace[:, 0]).all()
