"""Dense layers and embeddings equal torch's, one by one."""

import torch

from tutti import nn


def test_linear_is_torch_linear() -> None:
    ours, theirs = nn.Linear(4, 3), torch.nn.Linear(4, 3)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(6, 4)
    torch.testing.assert_close(ours(x), theirs(x))


def test_feature_linear_is_one_linear_per_feature() -> None:
    layer = nn.FeatureLinear(3, 4, 2)
    x = torch.randn(5, 3, 4)
    each = [torch.nn.functional.linear(x[:, f], layer.weight[f], layer.bias[f]) for f in range(3)]
    torch.testing.assert_close(layer(x), torch.stack(each, 1))


def test_embedding_is_one_torch_embedding_per_category_and_zero_for_unseen() -> None:
    layer = nn.Embedding((3, 5), 4)
    codes = torch.tensor([[0, 0], [2, 4], [1, 3]])
    first, second = layer.weight[:3], layer.weight[3:]
    expected = torch.cat([first[codes[:, 0]], second[codes[:, 1]]], -1)
    torch.testing.assert_close(layer(codes), expected)
    assert not layer(codes)[0].any()
    assert layer(codes)[1:].all()


def test_embedding_width_is_the_power_of_two_nearest_the_rule() -> None:
    rule = {2: 2.36, 10: 5.81, 40: 12.63, 100: 21.1, 300: 39.0, 10_000: 278}
    widths = {n: nn.embedding_width(n) for n in rule}
    assert widths == {2: 2, 10: 8, 40: 16, 100: 16, 300: 32, 10_000: 32}


def test_batch_ensemble_equals_a_dense_layer_of_its_own_per_replica() -> None:
    torch.manual_seed(0)
    layer = nn.EnsembleLinear(4, 3, 2)
    for p in layer.parameters():
        torch.nn.init.normal_(p)
    x = torch.randn(2, 6, 4)
    for k in range(2):
        weight = layer.s[k][:, None] * layer.weight * layer.r[k]
        torch.testing.assert_close(layer(x)[k], torch.nn.functional.linear(x[k], weight, layer.bias[k]))


def test_replicas_start_with_equal_biases_and_one_sign_per_chunk() -> None:
    torch.manual_seed(0)
    layer = nn.EnsembleLinear(4, 3, 5)
    assert (layer.bias == layer.bias[0]).all()
    adapter = nn.Replicate(8, [1, 3, 2]).adapter
    assert set(adapter.unique().tolist()) == {-1.0, 1.0}
    assert (adapter[:, 1:4] == adapter[:, 1:2]).all()
    assert (adapter[:, 4] == adapter[:, 5]).all()
    assert (adapter != adapter[0]).any()
    heads = nn.ReplicaLinear(4, 3, 2)
    assert (heads.weight[0] != heads.weight[1]).all()
