"""A transformer of 2 pre-norm blocks, d = 32, T = 32, as 8 members at once: forward and backward.

Against a loop over the same networks of ours, one after another, and against a loop of torch.nn.TransformerEncoder.
Target: at least 1.6 times faster than the loop. And one member of ours against torch's: at most 1.05 of its time.
"""

from collections.abc import Callable, Sequence

import torch
from _bench import arguments, machine, ratios, spread, table, tell, timed
from torch import Tensor
from torch.func import functional_call

from tutti import nn
from tutti.core import keep_memory

MEMBERS, TIME, WIDTH, DEPTH = 8, 32, 32, 2


def torchs(heads: int) -> torch.nn.Module:
    """The equal network of torch.nn."""
    block = torch.nn.TransformerEncoderLayer(WIDTH, heads, 4 * WIDTH, 0.0, "gelu", batch_first=True, norm_first=True)
    return torch.nn.TransformerEncoder(block, DEPTH, torch.nn.LayerNorm(WIDTH), enable_nested_tensor=False)


def ours(heads: int) -> torch.nn.Module:
    blocks = [nn.TransformerBlock(WIDTH, heads) for _ in range(DEPTH)]
    return nn.TransformerEncoder(blocks, last=nn.LayerNorm(WIDTH))


def step(run: Callable[[Tensor], Tensor], weights: Sequence[Tensor], x: Tensor, pull: Tensor) -> None:
    torch.autograd.grad(run(x), weights, pull)


def contenders(batch: int, heads: int) -> dict[str, Callable[[], None]]:
    """The stack, both loops and both networks alone, each with as many passes as make one turn long enough."""
    torch.manual_seed(0)
    alone = [ours(heads) for _ in range(MEMBERS)]
    peers = [torchs(heads) for _ in range(MEMBERS)]
    states = [dict(network.named_parameters()) for network in alone]
    stack = {n: torch.stack([s[n].detach() for s in states]).requires_grad_() for n in states[0]}
    x, pull = (torch.randn(MEMBERS, batch, TIME, WIDTH) for _ in range(2))
    turns = max(1, 64 // batch)

    def together() -> None:
        for _ in range(turns):
            step(lambda x: functional_call(alone[0], stack, x), list(stack.values()), x, pull)

    def loop(networks: list[torch.nn.Module], members: int = MEMBERS) -> Callable[[], None]:
        weights = [list(network.parameters()) for network in networks]

        def run() -> None:
            for _ in range(turns * (MEMBERS // members)):
                for m in range(members):
                    step(networks[m], weights[m], x[m], pull[m])

        return run

    return {
        "stack": together,
        "loop": loop(alone),
        "torch loop": loop(peers),
        "one": loop(alone, 1),
        "torch one": loop(peers, 1),
    }


def main() -> None:
    keep_memory()  # as a population does
    parser = arguments(__doc__ or "", repeats=15)
    parser.add_argument("--batches", type=int, nargs="+", default=[8, 32, 64])
    parser.add_argument("--heads", type=int, nargs="+", default=[4, 2])
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    rows = []
    for heads in given.heads:
        for batch in given.batches:
            seconds = timed(contenders(batch, heads), given.repeats)
            turns = max(1, 64 // batch)
            rows.append(
                [
                    f"{batch}, {heads} heads",
                    spread([1e3 * s / turns for s in seconds["stack"]], "ms"),
                    spread(ratios(seconds["loop"], seconds["stack"])),
                    spread(ratios(seconds["torch loop"], seconds["stack"])),
                    spread(ratios(seconds["one"], seconds["torch one"])),
                ]
            )
    head = ["batch", "8 members stacked", "loop of ours / stacked", "loop of torch.nn / stacked", "one / torch.nn"]
    tell(
        "attention",
        "A transformer of 2 blocks, d = 32, T = 32, 8 members",
        table(head, rows),
        provenance=machine(["torch", "tutti"], given.threads),
        write=given.write,
    )


if __name__ == "__main__":
    main()
