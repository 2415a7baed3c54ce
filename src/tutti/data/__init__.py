"""Data: sources become typed tables; splits, leak checks and fitted statistics stand beside them."""

from tutti.data._fit import fit_front as fit_front
from tutti.data._table import Table as Table
