"""Texts: film reviews and sentences by each network beside TF-IDF, and a step of each against a bare torch loop.

IMDb (25,000 + 25,000 reviews) and the binary Stanford sentiment sentences keep their published test parts. The bare
loop is the same network out of torch.nn, with DataLoader, fused AdamW and clipping; dropout is on in both.
"""

import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from _bench import arguments, machine, ratios, spread, table, tell, timed
from _ours import train_alone
from torch import Tensor, nn
from torch.nn import functional as F

import tutti
from tutti import data, models
from tutti.core import Setting
from tutti.tasks import infer
from tutti.training import Problem, Stream

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data" / "text"
FAMILIES = ("bag", "convolution", "lstm", "transformer")
BATCH, ROWS, TOKENS, WORDS, VOCABULARY, BUCKETS = 64, 1024, 64, 40, 5000, 1 << 16
RATE = 0.1  # of dropout


def fitted(source: Any, **options: Any) -> dict[str, Any]:
    """The result of a fit."""
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result: dict[str, Any] = tutti.fit(source, out=str(Path(folder) / "run"), **options).result
        return result


def accuracies(name: str, budget: int, networks: list[str]) -> list[str]:
    """Test accuracy of the default and of each network, and of the tuned baseline in the default's run."""
    if name == "IMDb":
        source, told = SHARED / "imdb.csv.gz", {"target": "label", "text": "text", "drop": ["rating"]}
    else:
        source, told = SHARED / "sst" / "stsa.binary.train", {"test": str(SHARED / "sst" / "stsa.binary.test")}
    rows = []
    for network in networks:
        chosen = {} if network == "default" else {"model": network, "baselines": False}
        result = fitted(str(source), budget=budget, **told, **chosen)
        test = result["test"]
        for b in result["baselines"]:
            if b["name"] == "TF-IDF linear":
                between = f"{b['difference']:+.4f} ({b['difference_low']:+.4f} to {b['difference_high']:+.4f})"
                rows.append([b["name"], f"{b['value']:.4f} ({b['low']:.4f} to {b['high']:.4f})", "", "", ""])
                break
        else:
            between = ""
        accuracy = f"{test['value']:.4f} ({test['low']:.4f} to {test['high']:.4f})"
        trained = str(result["members"]["trained"])
        rows.append([network, accuracy, between, trained, f"{result['seconds']:.0f} s"])
        print(" | ".join(rows[-1]), flush=True)
    head = [name, "test accuracy (95 %)", "difference to TF-IDF", "members", "time"]
    return table(head, rows)


class Bag(nn.Module):
    """models.TextBag() out of torch.nn, on slots and weights made ahead."""

    def __init__(self) -> None:
        super().__init__()
        self.rows = nn.Embedding(VOCABULARY + BUCKETS, 1)
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, slots: Tensor, weights: Tensor) -> Tensor:
        weights = F.dropout(weights, RATE, self.training)
        return (self.rows(slots.clamp(min=0))[..., 0] * weights).sum(1, keepdim=True) + self.bias


class Reader(nn.Module):
    """What the others share: lost words, embeddings, a trunk, dropout, a dense layer."""

    def __init__(self, width: int, features: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(VOCABULARY, width, padding_idx=0)
        self.head = nn.Sequential(nn.Dropout(RATE), nn.Linear(features, 1))

    def trunk(self, x: Tensor, present: Tensor) -> Tensor:
        raise NotImplementedError

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        tokens = tokens.masked_fill((torch.rand(tokens.shape) < 0.2 * RATE) & (tokens > 0), 1)
        present = torch.arange(tokens.shape[1]) < lengths[:, None]
        return self.head(self.trunk(self.embed(tokens), present))


class Convolution(Reader):
    """models.TextConvolution() out of torch.nn."""

    def __init__(self) -> None:
        super().__init__(128, 300)
        self.filters = nn.ModuleList(nn.Conv1d(128, 100, k, padding=k - 1) for k in (3, 4, 5))

    def trunk(self, x: Tensor, present: Tensor) -> Tensor:
        found = [layer(x.mT).relu() for layer in self.filters]
        reach = present.sum(1)[:, None, None]
        return torch.cat(
            [(h * (torch.arange(h.shape[-1]) < reach + h.shape[-1] - TOKENS)).amax(-1) for h in found], 1
        )


class Recurrent(Reader):
    """models.TextLSTM() out of torch.nn, with packed sequences."""

    def __init__(self) -> None:
        super().__init__(64, 128)
        self.read = nn.LSTM(64, 64, bidirectional=True, batch_first=True)

    def trunk(self, x: Tensor, present: Tensor) -> Tensor:
        packed = nn.utils.rnn.pack_padded_sequence(x, present.sum(1), batch_first=True, enforce_sorted=False)
        h, _ = nn.utils.rnn.pad_packed_sequence(self.read(packed)[0], True, total_length=TOKENS)
        return h.masked_fill(~present[..., None], float("-inf")).amax(1)


class Transformer(Reader):
    """models.TextTransformer() out of torch.nn: learned positions in place of rotary ones."""

    def __init__(self) -> None:
        super().__init__(64, 64)
        self.position = nn.Parameter(torch.zeros(TOKENS, 64))
        layer = nn.TransformerEncoderLayer(64, 4, 256, RATE, "gelu", batch_first=True, norm_first=True)
        self.encode = nn.TransformerEncoder(layer, 2, nn.LayerNorm(64), enable_nested_tensor=False)

    def trunk(self, x: Tensor, present: Tensor) -> Tensor:
        h = self.encode(x + self.position, src_key_padding_mask=~present)
        return (h * present[..., None]).sum(1) / present.sum(1, keepdim=True)


BARE: dict[str, Callable[[], nn.Module]] = {
    "bag": Bag,
    "convolution": Convolution,
    "lstm": Recurrent,
    "transformer": Transformer,
}


def loop(family: str, inputs: tuple[Tensor, ...], target: Tensor, steps: int) -> None:
    """The bare loop."""
    rows = torch.utils.data.TensorDataset(*inputs, target)
    loader = torch.utils.data.DataLoader(rows, batch_size=BATCH, shuffle=True, drop_last=True)
    network = BARE[family]()
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3, fused=True)
    done = 0
    while done < steps:
        for *given, wanted in loader:
            loss = F.binary_cross_entropy_with_logits(network(*given)[:, 0], wanted)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            done += 1
            if done == steps:
                return


def step_times(steps: int, repeats: int, threads: int) -> list[str]:
    """A training step of each network beside the bare loop's."""
    draw = np.random.default_rng(0)
    texts = [" ".join(f"w{i}" for i in draw.integers(0, VOCABULARY - 2, draw.integers(20, 65))) for _ in range(ROWS)]
    reading = data.Reading(vocabulary=VOCABULARY, length=TOKENS, unit="word")
    read = data.read((texts, np.arange(ROWS) % 2), reading=reading).settled(np.arange(ROWS))
    task = infer(read.target, ["target"], "binary")
    everything, target = np.arange(ROWS), torch.as_tensor(task.encode(read.target))
    rows = []
    for family in FAMILIES:
        options = {"buckets": BUCKETS, "dropout": True} if family == "bag" else {}
        model = models.MODELS["text"][family](**options)
        network = model.build(read.schema.shape, task.outputs)
        buffers = read.fit(network, everything)
        for name, value in buffers.items():
            network.get_buffer(name).copy_(value)
        tokens, lengths = read.inputs()
        given = network.front(tokens, lengths)
        problem = Problem(
            inputs=read.inputs(),
            target=target,
            streams=(Stream(seed=0, fold=0, train=everything, validation=everything[:1], buffers=buffers),),
            build=lambda model=model: model.build(read.schema.shape, task.outputs),
            loss=task.loss,
        )
        setting = Setting(dropout=RATE)
        took = timed(
            {
                "bare": lambda family=family, given=given: loop(family, given, target.float(), steps),
                "tutti": lambda problem=problem, setting=setting: train_alone(
                    problem, steps=steps, batch=BATCH, threads=threads, setting=setting
                ),
            },
            repeats,
        )
        each = [spread([1e3 * s / steps for s in took[who]], "ms") for who in ("tutti", "bare")]
        rows.append([family, *each, spread(ratios(took["tutti"], took["bare"]))])
        print(" | ".join(rows[-1]), flush=True)
    return [
        f"{TOKENS} tokens, texts of 20 to 64, {VOCABULARY:,} words, batches of {BATCH}, one member; {steps} steps, "
        f"start-up included. Median and range of {repeats} interleaved turns. Target: at most 1.0 of the loop.",
        "",
        *table(["", "a step", "bare torch loop", "of the loop"], rows),
    ]


def main() -> None:
    parser = arguments(__doc__ or "", repeats=3)
    parser.add_argument("--steps", type=int, default=60, help="training steps of a turn; 0 leaves the timing out")
    parser.add_argument(
        "--sst", type=int, default=300, help="seconds of each fit of the sentences; 0 leaves them out"
    )
    parser.add_argument("--imdb", type=int, default=600, help="seconds of each fit of IMDb; 0 leaves it out")
    parser.add_argument("--networks", nargs="*", default=["default", "convolution", "lstm", "transformer"])
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    sections = []
    if given.steps:
        sections.append(step_times(given.steps, given.repeats, given.threads))
    if given.sst:
        sections.append(accuracies("SST-2", given.sst, given.networks))
    if given.imdb:
        sections.append(accuracies("IMDb", given.imdb, given.networks))
    lines = [line for section in sections for line in (*section, "")][:-1]
    how = machine(["tutti", "torch", "numpy", "scipy", "scikit-learn"], given.threads)
    tell("text", "Texts: IMDb and the Stanford sentiment sentences", lines, provenance=how, write=given.write)


if __name__ == "__main__":
    main()
