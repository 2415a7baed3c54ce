"""Data: sources of every kind become typed rows; splits, leak checks and fitted statistics stand beside them."""

from tutti.data._encode import encode as encode
from tutti.data._fingerprint import fingerprint_rows as fingerprint_rows
from tutti.data._fingerprint import looked_at as looked_at
from tutti.data._fingerprint import record_look as record_look
from tutti.data._fingerprint import repeated_looks as repeated_looks
from tutti.data._fit import fit_front as fit_front
from tutti.data._images import Images as Images
from tutti.data._leaks import LeakReport as LeakReport
from tutti.data._leaks import find_leaks as find_leaks
from tutti.data._mapped import MappedRows as MappedRows
from tutti.data._nodes import Nodes as Nodes
from tutti.data._read import read as read
from tutti.data._readers import READERS as READERS
from tutti.data._reading import READING_NAMES as READING_NAMES
from tutti.data._reading import Reading as Reading
from tutti.data._row_content import duplicate_groups as duplicate_groups
from tutti.data._sample import Found as Found
from tutti.data._sample import Reader as Reader
from tutti.data._sample import Sample as Sample
from tutti.data._series import Series as Series
from tutti.data._sets import Sets as Sets
from tutti.data._splits import declare_splits as declare_splits
from tutti.data._splits import warn_shuffled_time as warn_shuffled_time
from tutti.data._table import Table as Table
