"""The population engine: members, plan, executors, steps."""

from tutti.training._autopsy import Autopsy as Autopsy
from tutti.training._carry import Carried as Carried
from tutti.training._carry import carry as carry
from tutti.training._executors import stacks as stacks
from tutti.training._memory import Need as Need
from tutti.training._memory import available as available
from tutti.training._memory import batch_statistics as batch_statistics
from tutti.training._memory import fit_memory as fit_memory
from tutti.training._memory import measure as measure
from tutti.training._plan import Across as Across
from tutti.training._plan import ExecutorName as ExecutorName
from tutti.training._plan import Plan as Plan
from tutti.training._plan import Precision as Precision
from tutti.training._plan import Rung as Rung
from tutti.training._population import Population as Population
from tutti.training._problem import Problem as Problem
from tutti.training._problem import Stream as Stream
from tutti.training._program import Program as Program
from tutti.training._ranks import Ranks as Ranks
from tutti.training._ranks import current_ranks as current_ranks
from tutti.training._ranks import join_ranks as join_ranks
from tutti.training._sharded import Sharded as Sharded
from tutti.training._sharded import undividable as undividable
from tutti.training._spread import AnyPopulation as AnyPopulation
from tutti.training._spread import Spread as Spread
from tutti.training._spread import populate as populate
