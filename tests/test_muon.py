import copy

import numpy as np
import pytest
import torch

from espressivo.training.muon import Muon, orthogonal

SHAPES = [(24, 8), (8, 24), (16, 16), (16, 16)]


def matrices(seed):
    generator = torch.Generator().manual_seed(seed)
    return [torch.nn.Parameter(torch.randn(shape, generator=generator)) for shape in SHAPES]


def test_it_moves_as_torchs_does_but_for_rounding():
    ours, theirs = matrices(0), matrices(0)
    optimizers = (
        Muon(ours, 0.02, 0.1),
        torch.optim.Muon(theirs, 0.02, 0.1, adjust_lr_fn="match_rms_adamw"),
    )
    begun = [matrix.detach().clone() for matrix in ours]
    for step in range(1, 6):
        for one, other, gradient in zip(ours, theirs, matrices(step), strict=True):
            one.grad, other.grad = gradient.data, gradient.data.clone()
        for optimizer in optimizers:
            optimizer.step()
    for one, other, before in zip(ours, theirs, begun, strict=True):
        moved = (one - before).norm()
        assert (one - other).norm() < 0.02 * moved  # torch's products are in bfloat16
    assert not torch.equal(ours[2], ours[3])


@pytest.mark.parametrize("shape", SHAPES)
def test_singular_values_become_about_one(shape):
    many = torch.randn(5, *shape, generator=torch.Generator().manual_seed(1))
    values = torch.linalg.svdvals(orthogonal(many))
    assert values.shape == (5, min(shape))
    assert 0.6 < values.min() and values.max() < 1.3
    alone = orthogonal(many[2:3])[0]
    np.testing.assert_allclose(orthogonal(many)[2], alone, atol=0.02)


def test_what_has_no_gradient_stays():
    one, other, *_ = matrices(0)
    before = other.detach().clone()
    one.grad = torch.ones_like(one)
    Muon([one, other], 0.1, 0.1).step()
    assert torch.equal(other, before)


def test_its_state_can_be_kept():
    a, b = matrices(0), matrices(0)
    first, second = Muon(a, 0.02), Muon(b, 0.02)
    for step in range(3):
        for one, other, gradient in zip(a, b, matrices(step), strict=True):
            one.grad, other.grad = gradient.data, gradient.data
        if step == 2:
            second.load_state_dict(copy.deepcopy(first.state_dict()))
            with torch.no_grad():
                for one, other in zip(a, b, strict=True):
                    other.copy_(one)
            second.step()
        first.step()
    assert all(torch.equal(one, other) for one, other in zip(a, b, strict=True))
