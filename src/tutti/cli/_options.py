"""The options of `tutti fit`: type, flag and words of each, in the order of the help page."""

from typing import Annotated, Any

import typer

_DATA = "What the columns are"
_KIND = "What a sample is, where it is no row of a table"
_SPLITS = "How it is judged"
_MODEL = "What is trained"
_OUTPUT = "What comes out"


def _option(*flags: str, panel: str, text: str, value: str | None = None) -> Any:
    return typer.Option(*flags, rich_help_panel=panel, help=text, metavar=value, show_default=False)


Source = Annotated[
    str | None,
    typer.Argument(
        help="A file (CSV, TSV, Parquet, Arrow, JSON lines, NPZ, .ts), a folder of images or recordings, or the name"
        " of a data set that comes with scikit-learn: digits, iris, wine, breast_cancer, diabetes.",
        show_default=False,
    ),
]
Target = Annotated[
    list[str] | None,
    _option(
        "--target",
        "-t",
        panel=_DATA,
        value="COLUMN",
        text="The column to predict; a bundled data set knows its own. May be repeated.",
    ),
]
Kind = Annotated[
    list[str] | None,
    _option(
        "--kind",
        panel=_DATA,
        value="COLUMN=KIND",
        text="Where the kind inferred is wrong: number, category, boolean, datetime, text, identifier, constant."
        " May be repeated.",
    ),
]
Keep = Annotated[
    list[str] | None,
    _option("--keep", panel=_DATA, value="COLUMN", text="Use it although a check set it aside. May be repeated."),
]
Drop = Annotated[
    list[str] | None, _option("--drop", panel=_DATA, value="COLUMN", text="Do not use it. May be repeated.")
]
Weight = Annotated[str | None, _option("--weight", panel=_DATA, value="COLUMN", text="The weights of the rows.")]
NoHeader = Annotated[
    bool, _option("--no-header", panel=_DATA, text="The first line is data; the columns are 0, 1, 2 and so on.")
]
Delimiter = Annotated[
    str | None,
    _option("--delimiter", panel=_DATA, value="TEXT", text="What separates the fields; detected by default."),
]
Data = Annotated[
    str | None,
    _option(
        "--data",
        panel=_KIND,
        value="KIND",
        text="Where the guess is wrong: table, images, signals, text, graphs, nodes, edges, sets or series.",
    ),
]
TextColumn = Annotated[str | None, _option("--text", panel=_KIND, value="COLUMN", text="The column of texts.")]
SetColumn = Annotated[
    str | None, _option("--set", panel=_KIND, value="COLUMN", text="The column that says to which set a row belongs.")
]
Edges = Annotated[
    str | None, _option("--edges", panel=_KIND, value="FILE", text="The edges of the graph whose nodes the data are.")
]
Links = Annotated[bool, _option("--links", panel=_KIND, text="Predict whether two nodes of the graph are joined.")]
Smiles = Annotated[
    str | None, _option("--smiles", panel=_KIND, value="COLUMN", text="The column of molecules, as SMILES.")
]
Masks = Annotated[
    str | None, _option("--masks", panel=_KIND, value="FOLDER", text="The masks of the images: what to segment.")
]
TargetFrom = Annotated[
    str | None,
    _option(
        "--target-from",
        panel=_KIND,
        value="PATTERN",
        text='Names within file names become columns: "{label}_{speaker}_*.wav".',
    ),
]
Forecast = Annotated[
    list[str] | None,
    _option("--forecast", panel=_KIND, value="COLUMN", text="What of a time series to forecast. May be repeated."),
]
Horizon = Annotated[int | None, _option("--horizon", panel=_KIND, value="N", text="How many steps ahead.")]
Window = Annotated[int | None, _option("--window", panel=_KIND, value="N", text="How many steps are looked back on.")]
Parts = Annotated[
    str | None,
    _option(
        "--parts",
        panel=_KIND,
        value="N,N,N",
        text="Rows of a series that train, choose and test, in this order, as a published split has them.",
    ),
]
Generate = Annotated[bool, _option("--generate", panel=_KIND, text="A language model of the text; see tutti sample.")]
Vocabulary = Annotated[
    int | None, _option("--vocabulary", panel=_KIND, value="N", text="How many tokens texts are cut into, at most.")
]
Unit = Annotated[
    str | None,
    _option("--unit", panel=_KIND, value="NAME", text="What a token is: word, wordpiece, bpe or character."),
]
Size = Annotated[
    str | None,
    _option("--size", panel=_KIND, value="HxW", text="The size that images are brought to, such as 64x64."),
]
Length = Annotated[
    int | None,
    _option(
        "--length",
        panel=_KIND,
        value="N",
        text="The most tokens of a text, samples of a signal or items of a set, kept.",
    ),
]
Rate = Annotated[
    float | None, _option("--rate", panel=_KIND, value="HZ", text="Samples a second that signals are brought to.")
]
Skip = Annotated[bool, _option("--skip", panel=_KIND, text="Leave out files that cannot be read.")]
Folds = Annotated[
    int, _option("--folds", panel=_SPLITS, value="N", text="Folds of the cross-validation; 5 by default.")
]
Test = Annotated[
    str | None, _option("--test", panel=_SPLITS, value="FILE", text="Test rows, in a file of their own.")
]
TestSize = Annotated[
    float | None,
    _option("--test-size", panel=_SPLITS, value="SHARE", text="Rows held out for the test; 0.2 by default."),
]
Time = Annotated[
    str | None,
    _option("--time", panel=_SPLITS, value="COLUMN", text="Train on the past, judge on the future."),
]
Group = Annotated[
    str | None,
    _option("--group", panel=_SPLITS, value="COLUMN", text="Entities that must not stand on both sides."),
]
Series = Annotated[
    str | None,
    _option("--series", panel=_SPLITS, value="COLUMN", text="The series of a panel; may stand on both sides."),
]
Gap = Annotated[int, _option("--gap", panel=_SPLITS, value="N", text="Times left out between training and judging.")]
Task = Annotated[
    str | None,
    _option(
        "--task",
        panel=_MODEL,
        value="TASK",
        text="regression, binary, multiclass or multilabel; by default told from the target.",
    ),
]
Metric = Annotated[
    str | None,
    _option("--metric", panel=_MODEL, value="NAME", text="What chooses and judges; by default accuracy or rmse."),
]
Model = Annotated[
    str | None, _option("--model", panel=_MODEL, value="NAME", text="The network: a name, or its Config as JSON.")
]
Optimizer = Annotated[
    str | None,
    _option(
        "--optimizer",
        panel=_MODEL,
        value="NAME",
        text="The update rule: a name, several with commas between them, or a Config as JSON; see tutti optimizers.",
    ),
]
Schedule = Annotated[
    str | None,
    _option(
        "--schedule",
        panel=_MODEL,
        value="NAME",
        text="How the learning rate moves: a name, or its Config as JSON.",
    ),
]
Epochs = Annotated[float | None, _option("--epochs", panel=_MODEL, value="N", text="Passes over the training rows.")]
BatchSize = Annotated[int | None, _option("--batch-size", panel=_MODEL, value="N", text="Rows in one step.")]
LearningRate = Annotated[
    list[float] | None, _option("--learning-rate", panel=_MODEL, value="RATE", text="One to try. May be repeated.")
]
WeightDecay = Annotated[
    list[float] | None, _option("--weight-decay", panel=_MODEL, value="DECAY", text="One to try. May be repeated.")
]
Hyper = Annotated[
    list[str] | None,
    _option(
        "--setting",
        panel=_MODEL,
        value="NAME=NUMBER",
        text="Another hyper-parameter, such as dropout=0.1, label_smoothing=0.1, augment=0.5 or mixup=0.5. May be"
        " repeated.",
    ),
]
ClassWeight = Annotated[
    str | None,
    _option("--class-weight", panel=_MODEL, value="balanced", text="Let each class count the same."),
]
NoRungs = Annotated[
    bool, _option("--no-rungs", panel=_MODEL, text="Train every setting to the end; drop none on the way.")
]
Device = Annotated[
    str | None,
    _option(
        "--device",
        panel=_MODEL,
        value="NAME",
        text="Where it is trained: cpu, cuda, cuda:1 or mps; by default a CUDA card where there is one.",
    ),
]
Executor = Annotated[
    str | None,
    _option(
        "--executor",
        panel=_MODEL,
        value="NAME",
        text="How members go through a step: stacked, vmapped or looped; by default what is fastest.",
    ),
]
Precision = Annotated[
    str,
    _option(
        "--precision",
        panel=_MODEL,
        value="NAME",
        text="Of products while training: float32, bfloat16, or auto (bfloat16 where it is faster and not felt).",
    ),
]
Across = Annotated[
    str | None,
    _option(
        "--across",
        panel=_MODEL,
        value="NAME",
        text="Under torchrun: spread (settings are dealt out), sharded (every batch is divided) or fully_sharded "
        "(the weights too).",
    ),
]
Budget = Annotated[
    str | None,
    _option("--budget", panel=_MODEL, value="TIME", text="For the whole command, such as 60s or 5m; at least 10s."),
]
Seed = Annotated[int, _option("--seed", panel=_MODEL, value="N", text="Of everything random; 0 by default.")]
Out = Annotated[
    str | None,
    _option("--out", "-o", panel=_OUTPUT, value="FOLDER", text="A new folder for the run; runs/NAME by default."),
]
AsJson = Annotated[
    bool, _option("--json", panel=_OUTPUT, text="Print the result as one JSON object; the rest goes to stderr.")
]
NoExamples = Annotated[
    bool, _option("--no-examples", panel=_OUTPUT, text="Show no samples (images, texts, ...) in the report.")
]
Quiet = Annotated[bool, _option("--quiet", "-q", panel=_OUTPUT, text="Show nothing while it works.")]
Resume = Annotated[
    str | None,
    _option("--resume", panel=_OUTPUT, value="FOLDER", text="Go on with an interrupted run; takes no other setting."),
]
