"""Data: sources become typed tables; splits, leak checks and fitted statistics stand beside them."""

from tutti.data._encode import encode as encode
from tutti.data._fit import fit_front as fit_front
from tutti.data._read import read as read
from tutti.data._row_content import duplicate_groups as duplicate_groups
from tutti.data._splits import declare_splits as declare_splits
from tutti.data._splits import warn_shuffled_time as warn_shuffled_time
from tutti.data._table import Table as Table
