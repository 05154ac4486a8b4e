"""Linear layers by either of torch's libraries."""

import pytest
import torch
import torch.nn.functional as F  # noqa: N812

from napari_sam.model.sam import linear as module
from napari_sam.model.sam.common import EXPORTING
from napari_sam.model.sam.linear import Linear, linear


@pytest.fixture(params=[True, False], ids=["as convolutions", "plainly"])
def way(request, monkeypatch):
    monkeypatch.setattr(module, "convolutions_are_faster", lambda: request.param)
    return request.param


@pytest.mark.parametrize("shape", [(8,), (5, 8), (2, 3, 8), (1, 7, 6, 8)])
@pytest.mark.parametrize("has_bias", [True, False])
def test_the_result_is_the_same(way, shape, has_bias):
    torch.manual_seed(0)
    x, weight = torch.randn(shape), torch.randn(4, 8)
    bias = torch.randn(4) if has_bias else None
    torch.testing.assert_close(linear(x, weight, bias), F.linear(x, weight, bias))


def test_what_is_not_contiguous(way):
    x = torch.randn(9, 11, 8)[:, 2:7].transpose(0, 1)
    layer = Linear(8, 3)
    torch.testing.assert_close(layer(x), F.linear(x, layer.weight, layer.bias))


def test_other_precisions_and_exports_go_the_plain_way(monkeypatch):
    monkeypatch.setattr(module, "convolutions_are_faster", lambda: True)
    monkeypatch.setattr(module, "_as_convolution", None)
    x, weight = torch.randn(5, 8), torch.randn(4, 8)
    assert linear(x.bfloat16(), weight.bfloat16()).dtype == torch.bfloat16
    token = EXPORTING.set(True)
    try:
        torch.testing.assert_close(linear(x, weight), F.linear(x, weight))
    finally:
        EXPORTING.reset(token)


def test_it_is_tried_once(monkeypatch):
    assert module.convolutions_are_faster() in (True, False)
    monkeypatch.setattr(module, "_time", None)
    assert module.convolutions_are_faster() in (True, False)
