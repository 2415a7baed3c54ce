"""Small seeded files of every kind of data, under the names that the README uses."""

import wave
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from PIL import Image

NETWORK = """
from torch import nn

model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 10))
"""
HEADS = (
    "C",
    "CC",
    "CCC",
    "CCCC",
    "CC(C)",
    "CC(C)C",
    "c1ccccc1",
    "c1ccccc1C",
    "C1CCCCC1",
    "CCCCC",
    "CCCCCC",
    "CC(C)(C)",
)
TAILS = ("", "O", "N", "Cl", "Br", "F", "C(=O)O", "C(=O)C", "C#N", "OC", "CO", "CCO")
WORDS = {"good": ("bright", "warm", "fine", "loved"), "bad": ("dull", "cold", "poor", "hated")}


def make_files(folder: Path) -> None:
    """titanic.csv (like the real one, not it), new.csv (without the target), sales.parquet, net.py (a model), and
    photos, membranes, recordings, reviews, a book, nodes with edges, molecules, events and a load curve."""
    draw = np.random.default_rng(0)
    (folder / "net.py").write_text(NETWORK, encoding="utf8")
    _tables(folder, draw)
    _images(folder, draw)
    _recordings(folder / "recordings", draw)
    _texts(folder, draw)
    _graphs(folder, draw)
    _events(folder, draw)


def _csv(path: Path, columns: Mapping[str, Any]) -> None:
    pyarrow.csv.write_csv(pa.table(dict(columns)), path)


def _tables(folder: Path, draw: np.random.Generator) -> None:
    sex = draw.choice(["female", "male"], 400)
    grade = draw.integers(1, 4, 400)
    age = draw.integers(1, 70, 400).astype(float)
    survived = (draw.random(400) < np.where(sex == "female", 0.85, 0.35) - 0.1 * grade).astype(int)
    missing = draw.random(400) < 0.2
    fare = draw.random(400) * 100 / grade
    passengers = pa.table(
        {"survived": survived, "pclass": grade, "sex": sex, "age": pa.array(age, mask=missing), "fare": fare}
    )
    pyarrow.csv.write_csv(passengers, folder / "titanic.csv")
    pyarrow.csv.write_csv(passengers.drop(["survived"]).slice(0, 20), folder / "new.csv")
    day = np.repeat(np.arange(150), 3)
    stores = np.tile(["north", "south", "west"], 150)
    amount = 50 + 10 * (day % 7) + 5 * draw.random(450)
    sales = pa.table({"date": np.datetime64("2024-01-01") + day, "store": stores, "amount": amount})
    pyarrow.parquet.write_table(sales, folder / "sales.parquet")
    hour = np.arange(3000)
    load = 20 + 5 * np.sin(2 * np.pi * hour / 24) + draw.normal(size=len(hour))
    when = np.datetime64("2024-01-01T00:00:00") + hour * np.timedelta64(3600, "s")
    _csv(folder / "power.csv", {"date": when, "OT": load})


def _images(folder: Path, draw: np.random.Generator) -> None:
    """Stripes that lie or stand; and grey cells with dark borders, whose masks are the borders."""
    for label in ("lying", "standing"):
        (folder / "photos" / label).mkdir(parents=True)
        for number in range(40):
            stripes = 255 * (np.arange(16) // draw.integers(2, 5) % 2)
            pixels = np.broadcast_to(stripes[:, None] if label == "lying" else stripes, (16, 16))
            noisy = np.clip(pixels + draw.normal(0, 60, (16, 16)), 0, 255).astype(np.uint8)
            Image.fromarray(noisy).save(folder / "photos" / label / f"{number}.png")
    for part in ("image", "label"):
        (folder / "membranes" / part).mkdir(parents=True)
    for number in range(10):
        rows, columns = np.indices((64, 64)) + draw.integers(0, 16, 2)[:, None, None]
        border = (rows % 16 < 2) | (columns % 16 < 2)
        picture = np.clip(np.where(border, 60, 180) + draw.normal(0, 20, (64, 64)), 0, 255).astype(np.uint8)
        Image.fromarray(picture).save(folder / "membranes" / "image" / f"{number:02}.png")
        Image.fromarray((255 * border).astype(np.uint8)).save(folder / "membranes" / "label" / f"{number:02}.png")


def _recordings(folder: Path, draw: np.random.Generator) -> None:
    """High and low tones by six speakers, who differ in loudness."""
    folder.mkdir()
    time = np.arange(2000) / 8000
    for label, pitch in (("high", 900), ("low", 300)):
        for speaker in range(6):
            for take in range(5):
                tone = np.sin(2 * np.pi * pitch * (1 + 0.1 * draw.normal()) * time) * (0.3 + 0.1 * speaker)
                sound = np.clip(tone + 0.1 * draw.normal(size=len(time)), -1, 1)
                with wave.open(str(folder / f"{label}_s{speaker}_{take}.wav"), "wb") as file:
                    file.setnchannels(1)
                    file.setsampwidth(2)
                    file.setframerate(8000)
                    file.writeframes((32767 * sound).astype("<i2").tobytes())


def _texts(folder: Path, draw: np.random.Generator) -> None:
    labels = draw.choice(list(WORDS), 200)
    said = [(draw.choice(WORDS[label]), draw.choice(WORDS[label])) for label in labels]
    texts = [f"the film was {one} and {two} {i}" for i, (one, two) in enumerate(said)]
    _csv(folder / "reviews.csv", {"text": texts, "label": labels})
    said = ["".join(draw.choice(list("aeiou nrst ld"), draw.integers(20, 60))) for _ in range(800)]
    lines = [f"ROMEO: {' '.join(line.split())}.\n" for line in said]
    (folder / "book.txt").write_text("".join(lines), encoding="utf8")


def _graphs(folder: Path, draw: np.random.Generator) -> None:
    """Two communities, in which neighbours are alike; and small molecules with a sum over their atoms."""
    side = np.repeat([0, 1], 100)
    values = draw.normal(size=(200, 4)) + 0.5 * side[:, None]
    _csv(folder / "nodes.csv", {f"x{i}": values[:, i] for i in range(4)} | {"class": np.array(["a", "b"])[side]})
    first = draw.integers(0, 200, 600)
    own = draw.integers(0, 100, 600) + 100 * side[first]
    second = np.where(draw.random(600) < 0.9, own, draw.integers(0, 200, 600))
    _csv(folder / "edges.csv", {"source": first, "target": second})
    smiles = [head + tail for head in HEADS for tail in TAILS]
    solubility = [1.0 - 0.5 * s.upper().count("C") + 1.5 * s.count("O") + draw.normal(0, 0.1) for s in smiles]
    _csv(folder / "molecules.csv", {"smiles": smiles, "logS": solubility})


def _events(folder: Path, draw: np.random.Generator) -> None:
    """Events of some particles each; of one process these are spread widely."""
    counts = draw.integers(3, 9, 150)
    event = np.repeat(np.arange(150), counts)
    wide = np.arange(150) % 2
    momenta = draw.normal(size=(len(event), 3)) * (1 + 2 * wide[event])[:, None]
    columns = {"event_id": event, "px": momenta[:, 0], "py": momenta[:, 1], "pz": momenta[:, 2]}
    _csv(folder / "events.csv", columns | {"process": np.array(["narrow", "wide"])[wide][event]})
