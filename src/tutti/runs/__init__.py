"""One run on disk: a folder of JSON, JSON lines and safetensors, written atomically and sealed with checksums."""

from tutti.runs._atomic import write_atomic as write_atomic
from tutti.runs._environment import environment as environment
from tutti.runs._run import FORMAT as FORMAT
from tutti.runs._run import Checkpoint as Checkpoint
from tutti.runs._run import Run as Run
from tutti.runs._run import RunStatus as RunStatus
from tutti.runs._run import RunSummary as RunSummary
from tutti.runs._run import list_runs as list_runs
from tutti.runs._run import refuse_taken as refuse_taken
