"""Near-copies: rows that judge and all but equal a training row, as after another rounding, or by added noise."""

import numpy as np
from jaxtyping import Bool, Float, Int

from tutti.core import Finding, Splits
from tutti.data._row_content import few_combinations, first_alike, row_hashes

CELL = 0.01  # of a column's spread: rows whose numbers all share a cell of this width are near-copies
COARSE = 4  # times as wide: where many more rows meet in such cells, rows are dense and not copied
FEWEST, SHARE = 5, 0.01  # near-copies, and their share of the rows that judge, which are worth a notice
TRAIN_ROWS, JUDGED_ROWS = 200_000, 50_000  # looked at, drawn by a fixed seed from larger tables


def near_copies(
    numbers: Float[np.ndarray, "rows number"], codes: Int[np.ndarray, "rows category"], splits: Splits
) -> list[Finding]:
    """A notice where rows that judge (the test, else the first fold) nearly equal a training row; [] else.

    Each number is divided by its column's spread (interquartile range / 1.35; the standard deviation where that is
    0) and put into cells of 0.01, twice, the second time moved by half a cell; categories must be equal. A row of
    which all cells are those of a training row that it does not repeat exactly is a near-copy. Pairs a thousandth of
    a spread apart in 30 columns are found in one of the two grids with a probability of about 0.1, a ten-thousandth
    apart of 0.9: copies in bulk are found, single ones may not be.

    Rows of a dense table (few columns, many rows) meet in cells by chance. In d dimensions four times wider cells
    then hold about 4^d as many, but copies are the same number; so less than half of what the wide cells hold is no
    finding (where those hold most rows: a quarter of the cells against the cells), nor are fewer than 5 rows or 1 %.
    """
    if few_combinations(numbers, codes):
        return []
    where, train, judged = sides(splits, TRAIN_ROWS, JUDGED_ROWS)
    rows = np.concatenate([judged, train])
    values, kinds = numbers[rows], codes[rows]
    exact = met(first_alike(row_hashes(values, kinds)), len(judged))
    count = beyond_chance(values, kinds, exact)
    if count < max(FEWEST, SHARE * len(judged)):
        return []
    message = (
        f"{count:,} of {len(judged):,} rows that judge ({where}) nearly equal one of {len(train):,} training rows: "
        "every number within a hundredth of its column's spread, every category the same. If they are the same "
        "samples measured or rounded anew, the score is too good: hold them out together by --group COLUMN."
    )
    return [Finding(kind="near-duplicates", where=where, message=message, severity="notice")]


def sides(
    splits: Splits, train_rows: int, judged_rows: int
) -> tuple[str, Int[np.ndarray, " train"], Int[np.ndarray, " judged"]]:
    """Where rows are judged (the test, else the first fold), the rows that train and those that judge: at most so
    many of each, drawn by a fixed seed."""
    where, train, judged = "test", splits.train, splits.test
    if not len(judged):
        where, train, judged = "fold 0", splits.folds[0].train, splits.folds[0].validation
    return where, _some(train, train_rows), _some(judged, judged_rows)


def _some(rows: Int[np.ndarray, " rows"], most: int) -> Int[np.ndarray, " some"]:
    return rows if len(rows) <= most else np.random.default_rng(0).choice(rows, most, replace=False)


def beyond_chance(
    values: Float[np.ndarray, "rows number"],
    kinds: Int[np.ndarray, "rows category"],
    exact: Bool[np.ndarray, " judged"],
) -> int:
    """How many of the first rows, but for those that are `exact` copies, share all cells with a later row; 0 where so
    many more do in wider cells that chance explains them."""

    def shared(width: float) -> int:
        return int((_in_cells(values, kinds, len(exact), width) & ~exact).sum())

    count = shared(CELL)
    if not count:
        return 0
    fewer, wide = count, shared(CELL * COARSE)
    if 2 * wide > len(exact):
        fewer, wide = shared(CELL / COARSE), count
    return 0 if 2 * fewer < wide else count


def _in_cells(
    values: Float[np.ndarray, "rows number"], kinds: Int[np.ndarray, "rows category"], judged: int, width: float
) -> Bool[np.ndarray, " judged"]:
    """Which of the first `judged` rows share all cells of one of two grids with one of the later rows."""
    found = np.zeros(judged, dtype=bool)
    scale = _spread(values) * width
    for shift in (0.0, 0.5):
        cells = [np.floor(column / unit + shift) for column, unit in zip(values.T, scale, strict=True)]
        found |= met(first_alike(row_hashes(*cells, kinds)), judged)
    return found


def met(alike: Int[np.ndarray, " rows"], judged: int) -> Bool[np.ndarray, " judged"]:
    """Which of the first `judged` rows have the content of one of the later rows."""
    return np.isin(alike[:judged], alike[judged:])


def _spread(values: Float[np.ndarray, "rows number"]) -> Float[np.ndarray, " number"]:
    """A column's spread: robust, as one far value would make all others equal."""
    spread = np.ones(values.shape[1])
    for place, column in enumerate(values.T):
        known = column[np.isfinite(column)].astype(np.float64)
        if len(known):
            low, high = np.quantile(known, [0.25, 0.75])
            spread[place] = (high - low) / 1.35 or known.std() or 1.0
    return spread
