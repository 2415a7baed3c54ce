"""Nouns and contracts: schema, splits, settings, configs, findings, errors, random keys."""

from tutti.core._config import Config as Config
from tutti.core._config import configure as configure
from tutti.core._errors import InputError as InputError
from tutti.core._errors import InputTypeError as InputTypeError
from tutti.core._errors import nearest as nearest
from tutti.core._errors import unknown as unknown
from tutti.core._findings import Finding as Finding
from tutti.core._keys import draw_uniform as draw_uniform
from tutti.core._keys import permutation as permutation
from tutti.core._keys import random_bits as random_bits
from tutti.core._keys import random_keys as random_keys
from tutti.core._keys import random_uniform as random_uniform
from tutti.core._keys import step_keys as step_keys
from tutti.core._keys import stream_key as stream_key
from tutti.core._schema import Column as Column
from tutti.core._schema import Kind as Kind
from tutti.core._schema import Role as Role
from tutti.core._schema import Schema as Schema
from tutti.core._setting import Setting as Setting
from tutti.core._splits import Fold as Fold
from tutti.core._splits import Splits as Splits
