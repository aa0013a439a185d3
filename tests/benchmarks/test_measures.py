"""The benchmarks of distances and of embedding, once, on next to nothing."""

import numpy as np
import pytest

from benchmarks import distances, embedding, silhouette
from protoviz.analysis import embedders
from protoviz.models import checkpoints, resnet
from protoviz.store import cube, schema
from tests.reference import prototypes


@pytest.mark.parametrize("damage", [1.0, 1.1])
def test_distances_are_timed_and_checked(tmp_path, monkeypatch, damage):
    distances.write(tmp_path, 3, (12, 40))
    exact = distances.pairwise
    monkeypatch.setattr(distances, "pairwise", lambda points: damage * exact(points))
    seconds, error = distances.timed(lambda: distances.matrix_of_every_epoch(tmp_path, range(3)))
    assert seconds.endswith("of computing")
    assert error < 1e-10 if damage == 1 else error == pytest.approx(0.1)
    distances.measures_of_every_epoch(tmp_path, range(3))


def test_vectors_of_neighbouring_epochs_are_near(tmp_path):
    distances.write(tmp_path, 2, (12, 40))
    (_, first), (_, second) = distances._read(tmp_path, range(2))
    apart = np.square(first[0] - first[1]).mean()
    assert 0 < np.square(first[0] - second[0]).mean() < apart / 10


def test_embedding_is_timed_beside_the_same_network(tmp_path):
    encoder = tmp_path / "encoder.safetensors"
    identity = checkpoints.Checkpoint("reference", 0, 0, "resnet18", 4, "none")
    checkpoints.save(encoder, resnet.initial("resnet18", 4, 0), identity)
    setting = embedders.Setting(encoder, "cpu", 1, 4)
    embedded, bare = embedding.rates("reference", setting, images=6, size=32, rounds=1)
    assert embedded > 0
    assert bare > 0
    assert [batch.shape for batch in embedding.bare_pass("reference", setting, 6, 32)()] == [(4, 32), (2, 32)]


def test_silhouettes_are_those_of_live_units_of_unmasked_prototypes(tmp_path):
    """Layers of one shade are apart; units that died count for nothing."""
    extent = prototypes.template()
    place = tmp_path / "prototypes.zarr"
    cube.create(place, extent, {})
    generator = np.random.default_rng(0)
    for address in prototypes.addresses(extent):
        made = prototypes.shard(address)
        direction = np.where(np.arange(prototypes.SIZE) < 3, 200, 0)[:, None, None]
        apart = [direction, direction[::-1]] if address.epoch == 8 else [direction, direction]
        shades = np.repeat(np.stack(apart), list(prototypes.LAYERS.values()), axis=0)
        made.image[:] = shades + generator.integers(0, 20, made.image.shape)
        made.image[0], made.status[0] = made.image[-1], schema.Status.DEAD
        cube.write_shard(place, address, made)
    cube.finish(place)
    embed = embedders.load(["pixels"], embedders.Setting(tmp_path, "cpu", 1, 4))["pixels"]
    last, first = (list(silhouette.of_network(place, embed, epoch)) for epoch in (None, 0))
    assert [row[:3] for row in last] == [("clrjit", 1, 0), ("clrjit", 1, 1)]
    assert all(value > 0.9 for *_, value in last)
    assert all(abs(value) < 0.1 for *_, value in first)
