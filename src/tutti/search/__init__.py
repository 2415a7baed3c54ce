"""Choosing: what to train, what to drop, when to stop."""

from tutti.search._grid import Grid as Grid
from tutti.search._grid import Scale as Scale
from tutti.search._grid import default_grid as default_grid
from tutti.search._interrupt import torch_threads as torch_threads
from tutti.search._judge import Judge as Judge
from tutti.search._jury import JUDGING_ROWS as JUDGING_ROWS
from tutti.search._record import Candidate as Candidate
from tutti.search._record import Decision as Decision
from tutti.search._record import Point as Point
from tutti.search._record import Track as Track
from tutti.search._rungs import halving as halving
from tutti.search._search import Search as Search
