"""Dense layers on the nodes of graphs: a projection of sparse features too, batch normalisation of real nodes."""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from tutti.nn._graph_convolution import Nodes, add_bias, project, projection


class NodeLinear(nn.Module):
    """y = x W + b for each node; of sparse features only the entries are multiplied.

    weight [*member, inputs, outputs], Glorot; bias [*member, outputs], 0, or none. x may lack the member axis.
    """

    stacked = True

    def __init__(self, inputs: int, outputs: int, *, bias: bool = True) -> None:
        super().__init__()
        self.weight = projection(inputs, outputs)
        self.bias = nn.Parameter(torch.zeros(outputs)) if bias else None

    def forward(self, x: Nodes) -> Float[Tensor, "*member node outputs"]:
        y = project(x, self.weight)
        return y if self.bias is None else add_bias(y, self.bias)


class NodeNorm(nn.Module):
    """Batch normalisation over the nodes of a batch of graphs, ε = 1e-5: BatchNorm whose batch is the nodes.

    Members whose graphs have unequal numbers of nodes are padded to one length: `real` [*member, node] is 1 at nodes
    and 0 behind them, and mean and variance are taken over the nodes alone. None: all are real.
    x [*member, node, feature]; weight, bias, running_mean, running_var [*member, feature] as BatchNorm's.
    """

    stacked = True
    batch_statistics = True
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, features: int, *, momentum: float = 0.1, epsilon: float = 1e-5) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(features))
        self.bias = nn.Parameter(torch.zeros(features))
        self.register_buffer("running_mean", torch.zeros(features))
        self.register_buffer("running_var", torch.ones(features))
        self.momentum, self.epsilon = momentum, epsilon

    def forward(
        self, x: Float[Tensor, "*member node feature"], real: Float[Tensor, "*own node"] | None = None
    ) -> Float[Tensor, "*member node feature"]:
        if self.weight.ndim == 1 and real is None and (x.shape[-2] > 1 or not self.training):
            return functional.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, self.training, self.momentum,
                self.epsilon,
            )  # fmt: skip
        if not self.training:
            scale = self.weight / (self.running_var + self.epsilon).sqrt()
            return torch.addcmul((self.bias - self.running_mean * scale).unsqueeze(-2), x, scale.unsqueeze(-2))
        real = x.new_ones(x.shape[:-1]) if real is None else real.to(x)
        count = real.sum(-1, keepdim=True).clamp(min=1)
        share = (real / count).unsqueeze(-2)
        mean = share @ x
        centred = x - mean
        variance = share @ centred.square()
        with torch.no_grad():
            unbiased = variance.squeeze(-2) * (count / (count - 1).clamp(min=1))
            self.running_mean.lerp_(mean.squeeze(-2).to(self.running_mean), self.momentum)
            self.running_var.lerp_(unbiased.to(self.running_var), self.momentum)
        scale = self.weight.unsqueeze(-2) / (variance + self.epsilon).sqrt()
        return torch.addcmul(self.bias.unsqueeze(-2), centred, scale)
