"""Language model: nanoGPT's CPU setting on tiny-shakespeare, beside a loop in nanoGPT's manner in the same run.

4 layers, 4 heads, width 128, windows of 64 characters, 12 of them a step, 2,000 steps, rate 1e-3 (100 steps of
warm-up, cosine to 1e-4), decay 0.1, β₂ 0.99, clipping at 1, no dropout; the last tenth of the text validates. The
peer is written here in plain torch: scaled_dot_product_attention, one query-key-value layer, fused AdamW, no biases,
random starts gathered from a NumPy array. Both train in turns of some steps, so that a slow minute hits both alike;
neither is evaluated meanwhile. Losses are the mean surprise over all windows of the part that validates, one behind
the other. Beside them: Kneser-Ney n-grams, and the default of `tutti fit --generate` with a budget.
"""

import tempfile
import warnings
from collections.abc import Callable
from itertools import pairwise
from math import cos, pi
from pathlib import Path

import numpy as np
import torch
from _bench import arguments, machine, ratios, spread, table, tell
from torch import Tensor, nn
from torch.nn import functional as F

import tutti
from tutti import data, models
from tutti.core import Setting
from tutti.evaluation._kneser_ney import KneserNey
from tutti.optim import AdamW, Cosine
from tutti.tasks import Language
from tutti.training import Plan, Population, Problem, Stream

TEXT = Path(__file__).resolve().parents[2] / "shared" / "data" / "text" / "tinyshakespeare.txt"
LAYERS, HEADS, WIDTH, LENGTH, BATCH = 4, 4, 128, 64, 12
RATE, LEAST, WARMUP, DECAY, BETA2 = 1e-3, 1e-4, 100, 0.1, 0.99


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH, bias=False), nn.LayerNorm(WIDTH, bias=False)
        self.qkv, self.join = nn.Linear(WIDTH, 3 * WIDTH, bias=False), nn.Linear(WIDTH, WIDTH, bias=False)
        self.enter, self.leave = nn.Linear(WIDTH, 4 * WIDTH, bias=False), nn.Linear(4 * WIDTH, WIDTH, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        batch, time, _ = x.shape
        parts = self.qkv(self.norm1(x)).split(WIDTH, dim=2)
        q, k, v = (p.view(batch, time, HEADS, WIDTH // HEADS).transpose(1, 2) for p in parts)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.join(y.transpose(1, 2).reshape(batch, time, WIDTH))
        return x + self.leave(F.gelu(self.enter(self.norm2(x))))


class Peer(nn.Module):
    """GPT-2 with the table tied, initialised as nanoGPT does."""

    def __init__(self, tokens: int) -> None:
        super().__init__()
        self.embed, self.place = nn.Embedding(tokens, WIDTH), nn.Embedding(LENGTH, WIDTH)
        self.blocks, self.norm = nn.ModuleList(Block() for _ in range(LAYERS)), nn.LayerNorm(WIDTH, bias=False)
        for name, weight in self.named_parameters():
            if weight.ndim == 2:
                last = name.endswith(("join.weight", "leave.weight"))
                nn.init.normal_(weight, std=0.02 / (2 * LAYERS) ** 0.5 if last else 0.02)

    def forward(self, x: Tensor) -> Tensor:
        h = self.embed(x) + self.place.weight[: x.shape[1]]
        for block in self.blocks:
            h = block(h)
        return F.linear(self.norm(h), self.embed.weight)


def peer(text: np.ndarray, tokens: int, steps: int, seed: int) -> tuple[Peer, Callable[[int, int], None]]:
    """The network, and what trains it from one step to another."""
    torch.manual_seed(seed)
    network = Peer(tokens)
    matrices = [p for p in network.parameters() if p.ndim == 2]
    others = [p for p in network.parameters() if p.ndim < 2]
    groups = [{"params": matrices, "weight_decay": DECAY}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=RATE, betas=(0.9, BETA2), fused=True)

    def train(first: int, last: int) -> None:
        for step in range(first, last):
            share = (step - WARMUP) / (steps - WARMUP)
            rate = RATE * (step + 1) / (WARMUP + 1)
            if step >= WARMUP:
                rate = LEAST + (RATE - LEAST) * (1 + cos(pi * share)) / 2
            for group in optimizer.param_groups:
                group["lr"] = rate
            starts = torch.randint(len(text) - LENGTH, (BATCH,)).tolist()
            x = torch.stack([torch.from_numpy(text[i : i + LENGTH]) for i in starts])
            y = torch.stack([torch.from_numpy(text[i + 1 : i + 1 + LENGTH]) for i in starts])
            loss = F.cross_entropy(network(x).flatten(0, 1), y.flatten())
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)

    return network, train


@torch.no_grad()
def peer_loss(network: Peer, windows: Tensor) -> float:
    parts = [
        F.cross_entropy(network(w[:, :-1]).flatten(0, 1), w[:, 1:].flatten()) * len(w) for w in windows.split(256)
    ]
    return float(sum(parts)) / len(windows)


def ours(found: data.Found, steps: int, threads: int, seed: int, position: str) -> Population:
    sample = found.sample
    task = Language(names=("text",), length=LENGTH)
    (windows,) = sample.inputs()
    train = np.setdiff1d(np.arange(len(sample)), found.validation)
    model = models.GPT(layers=LAYERS, heads=HEADS, width=WIDTH, position=position)
    problem = Problem(
        inputs=(windows,),
        target=windows,
        streams=(Stream(seed=seed, fold=0, train=train, validation=found.validation),),
        build=lambda: model.build(sample.shape, LENGTH),
        loss=task.loss,
    )
    plan = Plan(executor="looped", horizon=steps, segment=steps, batch_size=BATCH, threads=threads)
    setting = Setting(learning_rate=RATE, weight_decay=DECAY)
    schedule = Cosine(warmup_steps=WARMUP, floor=LEAST / RATE)
    return Population(problem, [setting], plan, AdamW(beta2=BETA2), schedule)


def default_fit(path: Path, budget: int, parts: tuple[int, ...]) -> list[str]:
    """A row of the table for what a user gets."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        told = {"generate": True, "parts": parts, "budget": budget, "baselines": False}
        result = tutti.fit(path, out=str(Path(folder) / "run"), **told).result
    plan = result["details"]["plan"][1]
    nats = np.log(result["best"]["cv"]["mean"])
    return [f"`tutti fit --generate`, {budget} s", f"{nats:.4f}", f"{result['seconds']:.0f} s in all", plan]


def main() -> None:
    from time import perf_counter

    parser = arguments(__doc__.splitlines()[0], repeats=10)
    parser.add_argument("--steps", type=int, default=2000)
    parser.add_argument("--budget", type=int, default=0, help="seconds of a default fit beside it; 0 for none")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    whole = TEXT.read_text(encoding="utf8")
    parts = (int(0.9 * len(whole)), len(whole) - int(0.9 * len(whole)), 0)
    reading = data.Reading(generate=True, parts=parts, length=LENGTH)
    found = data.READERS["language"].read(TEXT, reading)
    sample = found.sample
    text = sample.stream.astype(np.int64)[: parts[0]]
    held = torch.from_numpy(sample.take(found.validation).windows).long()
    populations = {p: ours(found, options.steps, options.threads, 0, p) for p in ("learned", "rotary")}
    network, train = peer(text, sample.shape.tokens, options.steps, 0)
    contenders: dict[str, Callable[[int, int], object]] = {
        **{f"tutti, {p} positions": lambda first, last, run=run.run: run(last) for p, run in populations.items()},
        "loop in nanoGPT's manner": train,
    }
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    cuts = [options.steps * turn // options.repeats for turn in range(options.repeats + 1)]
    for first, last in pairwise(cuts):
        for name, run in contenders.items():
            began = perf_counter()
            run(first, last)
            seconds[name].append(perf_counter() - began)
    losses = [float(p.outputs(0, found.validation).mean()) for p in populations.values()]
    losses.append(peer_loss(network, held))
    began = perf_counter()
    grams = KneserNey([sample.stream[: parts[0]]], sample.shape.tokens, 8)
    counted = perf_counter() - began
    best = min((float(grams.surprises(held.numpy(), k).mean()), k) for k in range(3, 9))
    loop = seconds["loop in nanoGPT's manner"]
    rows = [
        [name, f"{loss:.4f}", f"{sum(own):.1f} s", spread(ratios(own, loop), digits=3)]
        for (name, own), loss in zip(seconds.items(), losses, strict=True)
    ]
    rows.append(["Kneser-Ney, order " + str(best[1]), f"{best[0]:.4f}", f"{counted:.1f} s", ""])
    if options.budget:
        rows.append(default_fit(TEXT, options.budget, parts))
    weights = populations["learned"].program.layout.used
    lines = [
        f"{options.steps:,} steps of 12 windows of 64 characters; {weights:,} weights (learned positions).",
        "",
        *table(("", "validation loss, nats", "training", "over the loop, turn by turn"), rows),
        "",
        f"Trained in {options.repeats} turns. tutti is judged at its averaged weights.",
    ]
    tell(
        "language",
        "Language model: tiny-shakespeare in nanoGPT's CPU setting",
        lines,
        provenance=machine(("tutti", "torch", "numpy"), options.threads),
        write=options.write,
    )


if __name__ == "__main__":
    main()
