"""Populations over two processes that were given different things, and what is said: see test_agreement.py."""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from torch import nn

from tutti.core import InputError, Setting
from tutti.optim import SGD, AdamW, Constant
from tutti.training import Plan, Problem, Spread, Stream, join_ranks


def main(folder: Path) -> None:
    said = {}
    with join_ranks() as ranks:
        for what in ("nothing", "settings", "plan", "optimizer", "target", "rows and folds", "network"):
            other = ranks.rank == 1
            rows = np.arange(8)
            x = torch.linspace(-1, 1, 16).view(8, 2)
            problem = Problem(
                inputs=(x,),
                target=x[:, :1] + (what == "target" and other),
                streams=(
                    Stream(seed=0, fold=0, train=rows[: 5 + (what == "rows and folds" and other)], validation=rows),
                ),
                build=lambda wide=what == "network" and other: nn.Linear(2, 1, bias=not wide),
                loss=lambda output, target, label_smoothing=None: (output - target).square().mean(-1),
            )
            settings = [Setting(learning_rate=0.1 * (1 + (what == "settings" and other))), Setting()]
            plan = Plan(executor="looped", horizon=2 + (what == "plan" and other), segment=1, batch_size=4)
            rule = SGD() if what == "optimizer" and other else AdamW()
            try:
                Spread(problem, settings, plan, rule, Constant()).run(1)
                said[what] = ""
            except InputError as error:
                said[what] = str(error)
        (folder / f"rank{ranks.rank}.json").write_text(json.dumps(said), "utf8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
