"""Update rules on flat stacks of members, rate schedules, and gradient clipping."""

from tutti.optim._adam import FUSED_MULTIPLE as FUSED_MULTIPLE
from tutti.optim._adam import Adam as Adam
from tutti.optim._adam import AdamW as AdamW
from tutti.optim._adaptive import Adadelta as Adadelta
from tutti.optim._adaptive import Adagrad as Adagrad
from tutti.optim._adaptive import RMSProp as RMSProp
from tutti.optim._clipping import clip_factor as clip_factor
from tutti.optim._clipping import norm_factor as norm_factor
from tutti.optim._clipping import norms as norms
from tutti.optim._momentum import SGD as SGD
from tutti.optim._momentum import HeavyBall as HeavyBall
from tutti.optim._momentum import Momentum as Momentum
from tutti.optim._momentum import Nesterov as Nesterov
from tutti.optim._plateau import Plateau as Plateau
from tutti.optim._rule import Rule as Rule
from tutti.optim._rule import ShapedRule as ShapedRule
from tutti.optim._rule import State as State
from tutti.optim._rule import Stepper as Stepper
from tutti.optim._schedules import Constant as Constant
from tutti.optim._schedules import Cosine as Cosine
from tutti.optim._schedules import CosineQuarter as CosineQuarter
from tutti.optim._schedules import Exponential as Exponential
from tutti.optim._schedules import InverseTime as InverseTime
from tutti.optim._schedules import Linear as Linear
from tutti.optim._schedules import OneCycle as OneCycle
from tutti.optim._schedules import Schedule as Schedule
from tutti.optim._schedules import WarmRestarts as WarmRestarts

RULES: dict[str, type[Rule]] = {
    rule.name: rule for rule in (SGD, Momentum, HeavyBall, Nesterov, Adagrad, Adadelta, RMSProp, Adam, AdamW)
}
SCHEDULES: dict[str, type[Schedule]] = {
    schedule.name: schedule
    for schedule in (Constant, Exponential, InverseTime, Linear, CosineQuarter, Cosine, WarmRestarts, OneCycle)
}
