"""SimCLR training: the paper's optimiser and head, paired conditions, repeatable runs."""

import numpy as np
import pytest
import torch
from torch import nn

from protoviz.config.learning import Augment, SimClr
from protoviz.errors import StudyError
from protoviz.learning import batches, simclr
from protoviz.models import resnet

CPU = torch.device("cpu")
SETTINGS = SimClr(
    epochs=2,
    view_size=32,
    batch_size=8,
    lr=0.05,
    momentum=0.9,
    weight_decay=5e-4,
    temperature=0.5,
    projection_dim=16,
)
COLOUR, NO_COLOUR = Augment(), Augment(cj_prob=0.0, random_gray_scale=0.0)


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(0).integers(0, 256, (20, 32, 32, 3), dtype=np.uint8)


def run(images, augment=COLOUR, seed=1, settings=SETTINGS, on_epoch=lambda _epoch, _network: None):
    network = resnet.initial("resnet18", 4, seed)
    history = simclr.train(
        images, network, settings, augment, condition="clrjit", run=seed, device=CPU, on_epoch=on_epoch
    )
    return network, history


def test_every_epoch_is_handed_out_the_untrained_network_first(images):
    seen = {}
    network, history = run(
        images, on_epoch=lambda epoch, network: seen.update({epoch: network.conv1.weight.detach().clone()})
    )
    assert list(seen) == [0, 1, 2]
    assert torch.equal(seen[0], resnet.initial("resnet18", 4, 1).conv1.weight)
    assert torch.equal(seen[2], network.conv1.weight)
    assert not torch.equal(seen[1], seen[2])
    assert [past.epoch for past in history] == [1, 2]


def test_learning_rate_falls_on_a_cosine_stepped_every_epoch(images):
    _, history = run(images)
    assert [past.lr for past in history] == pytest.approx([0.05, 0.025])


def test_same_run_same_weights(images):
    torch.rand(3)
    first, second = run(images)[0].state_dict(), run(images)[0].state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_conditions_of_one_run_differ_by_their_augmentation_alone(images):
    def weights(augment):
        return run(images, augment)[0].conv1.weight

    assert torch.equal(weights(NO_COLOUR), weights(NO_COLOUR.model_copy(update={"cj_hue": 0.1})))
    assert not torch.equal(weights(NO_COLOUR), weights(COLOUR))


def test_order_of_images_depends_on_run_and_epoch():
    def order(run, epoch):
        sampler = batches.EpochOrder(50, run)
        sampler.set_epoch(epoch)
        return list(sampler)

    assert sorted(order(1, 0)) == list(range(50))
    assert order(1, 0) == order(1, 0)
    assert order(1, 0) != order(1, 1)
    assert order(1, 0) != order(2, 0)


def test_head_is_the_paper_s():
    """Linear(no bias)-BN-ReLU-Linear(no bias)-BN (T1)."""
    module = simclr._SimClr(resnet.initial("resnet18", 4, 1), SETTINGS, COLOUR, "clrjit", 1)
    layers = list(module.head.layers)
    assert [type(layer) for layer in layers] == [
        nn.Linear,
        nn.BatchNorm1d,
        nn.ReLU,
        nn.Linear,
        nn.BatchNorm1d,
    ]
    assert layers[0].bias is None
    assert layers[3].bias is None
    assert (layers[0].in_features, layers[0].out_features, layers[3].out_features) == (32, 32, 16)


def test_optimiser_is_sgd_over_all_parameters():
    module = simclr._SimClr(resnet.initial("resnet18", 4, 1), SETTINGS, COLOUR, "clrjit", 1)
    (optimizer,), _ = module.configure_optimizers()
    (group,) = optimizer.param_groups
    assert isinstance(optimizer, torch.optim.SGD)
    assert (group["lr"], group["momentum"], group["weight_decay"]) == (0.05, 0.9, 5e-4)
    assert len(group["params"]) == len(list(module.parameters()))


def test_loss_is_nt_xent():
    """Chen et al. 2020, equation 1, in loops."""
    module = simclr._SimClr(resnet.initial("resnet18", 4, 1), SETTINGS, COLOUR, "clrjit", 1)
    z = torch.randn(6, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    unit = z / z.norm(dim=1, keepdim=True)
    losses = []
    for i in range(6):
        similarity = torch.stack([unit[i] @ unit[k] / 0.5 for k in range(6) if k != i])
        positive = unit[i] @ unit[(i + 3) % 6] / 0.5
        losses.append(similarity.logsumexp(0) - positive)
    torch.testing.assert_close(module.loss(z[:3], z[3:]), torch.stack(losses).mean())


def test_fewer_images_than_a_batch_is_refused(images):
    with pytest.raises(StudyError, match="at least one batch of 8 images, found 5"):
        run(images[:5])


def test_a_loss_that_is_not_finite_is_named(images):
    with pytest.raises(StudyError, match=r"clrjit run 1 epoch \d: expected a finite loss, found nan; lower"):
        run(images, settings=SETTINGS.model_copy(update={"lr": 1e30}))
