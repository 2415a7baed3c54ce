"""Adam and AdamW, through torch's fused kernel where it gives the same numbers in every slot."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from tutti.optim._elementwise import unbias
from tutti.optim._rule import Rule, State, check_fraction, check_positive

FUSED_MULTIPLE = 16
"""On the CPU the fused kernel is used only where the number of weights is a multiple of this."""


@dataclass(frozen=True, kw_only=True)
class Adam(Rule):
    """Adam (Kingma and Ba 2015): the gradient's running mean over the root of its running mean square.

        m ← β₁m + (1−β₁)g     v ← β₂v + (1−β₂)g²     w ← w − η m̂/(√v̂ + ε),   m̂ = m/(1−β₁ᵗ),  v̂ = v/(1−β₂ᵗ)

    β₁ is the member's momentum. beta2 β₂; epsilon ε. epsilon_inside: divide by √(v̂ + ε). amsgrad (Reddi, Kale,
    Kumar 2018): v̂ is the largest v so far, over 1−β₂ᵗ, as in torch. (A slide form that divides inside the
    recursion, m ← (β₁m + (1−β₁)g)/(1−β₁ᵗ), is not Adam and is not offered.) Equal to torch.optim.Adam.
    Two numbers per weight: "mean" (m), "square" (v); amsgrad one more, "largest".

    Where all members share β₁, one call of torch's fused kernel serves the whole stack: it steps a tensor of zeros
    with rate 1, which leaves the direction. That kernel computes the last few numbers of a CPU tensor by another
    path with other rounding; so that a member's numbers do not depend on its slot it is used there only where each
    member's row fills whole cache lines (FUSED_MULTIPLE numbers): pad the flat tensor to that to be fast. The plain
    path agrees with it to rounding.
    """

    name: ClassVar[str] = "adam"
    beta2: float = 0.999
    epsilon: float = 1e-8
    epsilon_inside: bool = False
    amsgrad: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        check_fraction("beta2", self.beta2)
        check_positive("epsilon", self.epsilon)

    @property
    def averages(self) -> tuple[str, ...]:
        return ("mean", "square", "largest") if self.amsgrad else ("mean", "square")

    def fuses(self, weights: Float[Tensor, "member weights"], momentum: float | Float[Tensor, "member 1"]) -> bool:
        """Whether a step on such weights goes through the fused kernel."""
        return (
            isinstance(momentum, float)
            and not self.epsilon_inside
            and weights.dtype in (torch.float32, torch.float64)
            and weights.is_contiguous()
            and (
                weights.device.type == "cuda"
                or (weights.device.type == "cpu" and weights.shape[1] % FUSED_MULTIPLE == 0)
            )
        )

    def update(
        self,
        gradient: Float[Tensor, "member weights"],
        state: State,
        *,
        step: int,
        rate: float | Float[Tensor, "member 1"],
        momentum: float | Float[Tensor, "member 1"],
    ) -> Float[Tensor, "member weights"]:
        if isinstance(momentum, float) and self.fuses(gradient, momentum):
            return self._fused(gradient, state, step, momentum)
        return self._plain(gradient, state, step, momentum)

    def _fused(
        self, gradient: Float[Tensor, "member weights"], state: State, step: int, beta1: float
    ) -> Float[Tensor, "member weights"]:
        direction = torch.zeros_like(gradient)
        # Without a gradient scaler the kernel only reads the step.
        torch._fused_adam_(
            [direction],
            [gradient],
            [state["mean"]],
            [state["square"]],
            [state["largest"]] if self.amsgrad else [],
            [torch.full((), float(step), device=gradient.device)],
            lr=1.0,
            beta1=beta1,
            beta2=self.beta2,
            weight_decay=0.0,
            eps=self.epsilon,
            amsgrad=self.amsgrad,
            maximize=False,
        )
        return direction

    def step_alone(
        self,
        weights: Float[Tensor, "one weights"],
        gradient: Float[Tensor, "one weights"],
        state: State,
        *,
        step: int,
        rate: float,
        weight_decay: float,
        momentum: float | Float[Tensor, "member 1"],
        scale: Float[Tensor, ""],
        skip: Float[Tensor, ""],
    ) -> bool:
        if not isinstance(momentum, float) or not self.fuses(weights, momentum) or weights.dtype != torch.float32:
            return False
        kernel = torch._fused_adamw_ if self.decay == "decoupled" else torch._fused_adam_
        kernel(
            [weights],
            [gradient],
            [state["mean"]],
            [state["square"]],
            [state["largest"]] if self.amsgrad else [],
            [torch.full((), float(step), device=weights.device)],
            lr=rate,
            beta1=momentum,
            beta2=self.beta2,
            weight_decay=weight_decay,
            eps=self.epsilon,
            amsgrad=self.amsgrad,
            maximize=False,
            grad_scale=scale,
            found_inf=skip,
        )
        return True

    def _plain(
        self,
        gradient: Float[Tensor, "member weights"],
        state: State,
        step: int,
        beta1: float | Float[Tensor, "member 1"],
    ) -> Float[Tensor, "member weights"]:
        mean = state["mean"].lerp_(gradient, 1 - beta1)
        square = state["square"].mul_(self.beta2).addcmul_(gradient, gradient, value=1 - self.beta2)
        if self.amsgrad:
            square = torch.maximum(state["largest"], square, out=state["largest"])
        # −m̂/(√v̂ + ε) = m / (a√v + b): the corrections are folded into two numbers for each member.
        unbias1, unbias2 = unbias(beta1, step), 1 - self.beta2**step
        if self.epsilon_inside:
            size = (square / unbias2).add_(self.epsilon).sqrt_().mul_(-unbias1)
        else:
            size = square.sqrt().mul_(-unbias1 / unbias2**0.5).sub_(unbias1 * self.epsilon)
        return torch.div(mean, size, out=gradient)


@dataclass(frozen=True, kw_only=True)
class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter 2019): w ← w(1 − η·weight_decay) before Adam's step.

    As in torch.optim.AdamW the decay falls with the scheduled rate, and Adam never sees it. Memory as Adam.
    """

    name: ClassVar[str] = "adamw"
    decay: str = "decoupled"
