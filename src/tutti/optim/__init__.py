"""Update rules on flat stacks of members, rate schedules, and gradient clipping."""

from tutti.optim._adam import FUSED_MULTIPLE as FUSED_MULTIPLE
from tutti.optim._adam import Adam as Adam
from tutti.optim._adam import AdamW as AdamW
from tutti.optim._adams import MARS as MARS
from tutti.optim._adams import MAS as MAS
from tutti.optim._adams import Adan as Adan
from tutti.optim._adams import AdaPNM as AdaPNM
from tutti.optim._adams import AdEMAMix as AdEMAMix
from tutti.optim._adams import DiffGrad as DiffGrad
from tutti.optim._adams import EXAdam as EXAdam
from tutti.optim._adams import LaProp as LaProp
from tutti.optim._adams import NAdam as NAdam
from tutti.optim._adams import QHAdam as QHAdam
from tutti.optim._adams import RAdam as RAdam
from tutti.optim._adaptive import Adadelta as Adadelta
from tutti.optim._adaptive import Adagrad as Adagrad
from tutti.optim._adaptive import RMSProp as RMSProp
from tutti.optim._belief import MSVAG as MSVAG
from tutti.optim._belief import ACProp as ACProp
from tutti.optim._belief import AdaBelief as AdaBelief
from tutti.optim._belief import AngularGrad as AngularGrad
from tutti.optim._belief import CProp as CProp
from tutti.optim._belief import EAdam as EAdam
from tutti.optim._belief import FastAdaBelief as FastAdaBelief
from tutti.optim._belief import SDProp as SDProp
from tutti.optim._bounded import ADOPT as ADOPT
from tutti.optim._bounded import SMORMS3 as SMORMS3
from tutti.optim._bounded import ACClip as ACClip
from tutti.optim._bounded import AdaBound as AdaBound
from tutti.optim._bounded import AdaMod as AdaMod
from tutti.optim._bounded import AMSBound as AMSBound
from tutti.optim._by_loss import AEGD as AEGD
from tutti.optim._by_loss import ALIG as ALIG
from tutti.optim._by_loss import PAL as PAL
from tutti.optim._by_loss import Eve as Eve
from tutti.optim._clipping import norm_factor as norm_factor
from tutti.optim._clipping import norms as norms
from tutti.optim._distance import DAdaptAdam as DAdaptAdam
from tutti.optim._distance import DAdaptSGD as DAdaptSGD
from tutti.optim._distance import Prodigy as Prodigy
from tutti.optim._factored import SM3 as SM3
from tutti.optim._factored import Adafactor as Adafactor
from tutti.optim._find import find_rule as find_rule
from tutti.optim._foreign import Foreign as Foreign
from tutti.optim._foreign import foreign_classes as foreign_classes
from tutti.optim._largest import AdaMax as AdaMax
from tutti.optim._largest import AdamX as AdamX
from tutti.optim._largest import AMSGrad as AMSGrad
from tutti.optim._largest import Padam as Padam
from tutti.optim._largest import SAMSGrad as SAMSGrad
from tutti.optim._largest import SoftplusAdam as SoftplusAdam
from tutti.optim._layered import AdaShift as AdaShift
from tutti.optim._layered import Gravity as Gravity
from tutti.optim._layered import StableAdamW as StableAdamW
from tutti.optim._layered import TAdam as TAdam
from tutti.optim._layerwise import LAMB as LAMB
from tutti.optim._layerwise import LARS as LARS
from tutti.optim._layerwise import Fromage as Fromage
from tutti.optim._layerwise import NovoGrad as NovoGrad
from tutti.optim._memory import AdaFom as AdaFom
from tutti.optim._memory import AdamNC as AdamNC
from tutti.optim._memory import AdaX as AdaX
from tutti.optim._memory import AdaXW as AdaXW
from tutti.optim._memory import Expectigrad as Expectigrad
from tutti.optim._memory import NosAdam as NosAdam
from tutti.optim._memory import SAdam as SAdam
from tutti.optim._memory import Yogi as Yogi
from tutti.optim._momenta import PID as PID
from tutti.optim._momenta import PNM as PNM
from tutti.optim._momenta import QHM as QHM
from tutti.optim._momenta import SGDM as SGDM
from tutti.optim._momenta import SGDW as SGDW
from tutti.optim._momenta import SRSGD as SRSGD
from tutti.optim._momenta import AccSGD as AccSGD
from tutti.optim._momenta import AggMo as AggMo
from tutti.optim._momenta import CoolMomentum as CoolMomentum
from tutti.optim._momenta import EarlyMomentum as EarlyMomentum
from tutti.optim._momentum import SGD as SGD
from tutti.optim._momentum import HeavyBall as HeavyBall
from tutti.optim._momentum import Momentum as Momentum
from tutti.optim._momentum import Nesterov as Nesterov
from tutti.optim._muon import Muon as Muon
from tutti.optim._muon import orthogonalise as orthogonalise
from tutti.optim._norms import SNGM as SNGM
from tutti.optim._norms import SWATS as SWATS
from tutti.optim._norms import AcceleGrad as AcceleGrad
from tutti.optim._norms import AdagradNorm as AdagradNorm
from tutti.optim._norms import Adai as Adai
from tutti.optim._norms import AdaSGD as AdaSGD
from tutti.optim._norms import AvaGrad as AvaGrad
from tutti.optim._norms import NormalisedSGD as NormalisedSGD
from tutti.optim._norms import WNGrad as WNGrad
from tutti.optim._online import FTRL as FTRL
from tutti.optim._online import MADGRAD as MADGRAD
from tutti.optim._online import SRMM as SRMM
from tutti.optim._online import AdaAlter as AdaAlter
from tutti.optim._online import AdaSqrt as AdaSqrt
from tutti.optim._online import Kate as Kate
from tutti.optim._online import RMSterov as RMSterov
from tutti.optim._online import SCAdagrad as SCAdagrad
from tutti.optim._online import SCRMSProp as SCRMSProp
from tutti.optim._plateau import Plateau as Plateau
from tutti.optim._preconditioned import SOAP as SOAP
from tutti.optim._preconditioned import Shampoo as Shampoo
from tutti.optim._projected import SGDP as SGDP
from tutti.optim._projected import AdamP as AdamP
from tutti.optim._rule import Rule as Rule
from tutti.optim._rule import ShapedRule as ShapedRule
from tutti.optim._rule import State as State
from tutti.optim._rule import Stepper as Stepper
from tutti.optim._schedule_free import ScheduleFreeAdamW as ScheduleFreeAdamW
from tutti.optim._schedule_free import ScheduleFreeSGD as ScheduleFreeSGD
from tutti.optim._schedules import Constant as Constant
from tutti.optim._schedules import Cosine as Cosine
from tutti.optim._schedules import CosineQuarter as CosineQuarter
from tutti.optim._schedules import Exponential as Exponential
from tutti.optim._schedules import InverseTime as InverseTime
from tutti.optim._schedules import Linear as Linear
from tutti.optim._schedules import OneCycle as OneCycle
from tutti.optim._schedules import Schedule as Schedule
from tutti.optim._schedules import WarmRestarts as WarmRestarts
from tutti.optim._sign import CautiousAdamW as CautiousAdamW
from tutti.optim._sign import CautiousLion as CautiousLion
from tutti.optim._sign import Grams as Grams
from tutti.optim._sign import Lion as Lion
from tutti.optim._sign import Rprop as Rprop
from tutti.optim._sign import SignSGD as SignSGD
from tutti.optim._sign import Signum as Signum
from tutti.optim._sign import Tiger as Tiger
from tutti.optim._wrappers import ASAM as ASAM
from tutti.optim._wrappers import EMA as EMA
from tutti.optim._wrappers import SAM as SAM
from tutti.optim._wrappers import SWA as SWA
from tutti.optim._wrappers import Centralised as Centralised
from tutti.optim._wrappers import Lookahead as Lookahead
from tutti.optim._wrappers import Wrapper as Wrapper

_NATIVE: tuple[type[Rule], ...] = (
    SGD,
    Momentum,
    HeavyBall,
    Nesterov,
    Adagrad,
    Adadelta,
    RMSProp,
    Adam,
    AdamW,
    SignSGD,
    Signum,
    Tiger,
    Lion,
    Rprop,
    Grams,
    CautiousLion,
    CautiousAdamW,
    AMSGrad,
    AdaMax,
    AdamX,
    Padam,
    SoftplusAdam,
    SAMSGrad,
    AdaBound,
    AMSBound,
    AdaMod,
    ACClip,
    ADOPT,
    SMORMS3,
    AdaBelief,
    ACProp,
    FastAdaBelief,
    EAdam,
    SDProp,
    MSVAG,
    CProp,
    AngularGrad,
    Yogi,
    AdaX,
    AdaXW,
    AdaFom,
    AdamNC,
    NosAdam,
    Expectigrad,
    AdaShift,
    SAdam,
    AdaSqrt,
    AdaAlter,
    SCAdagrad,
    SCRMSProp,
    Kate,
    MADGRAD,
    FTRL,
    SRMM,
    RMSterov,
    SGDM,
    SGDW,
    EarlyMomentum,
    QHM,
    AggMo,
    PID,
    SRSGD,
    CoolMomentum,
    AccSGD,
    PNM,
    NormalisedSGD,
    SNGM,
    AdagradNorm,
    WNGrad,
    AcceleGrad,
    AdaSGD,
    AvaGrad,
    Adai,
    SWATS,
    StableAdamW,
    TAdam,
    Gravity,
    NAdam,
    RAdam,
    QHAdam,
    LaProp,
    DiffGrad,
    Adan,
    AdEMAMix,
    EXAdam,
    MAS,
    MARS,
    AdaPNM,
)
_LAYERED: tuple[type[Rule], ...] = (
    Muon,
    SOAP,
    Shampoo,
    Adafactor,
    SM3,
    LAMB,
    LARS,
    Fromage,
    NovoGrad,
    AdamP,
    SGDP,
    ScheduleFreeAdamW,
    ScheduleFreeSGD,
    Prodigy,
    DAdaptAdam,
    DAdaptSGD,
    AEGD,
    ALIG,
    Eve,
    PAL,
)
_WRAPPERS: tuple[type[Wrapper], ...] = (SAM, ASAM, Lookahead, EMA, SWA, Centralised)
RULES: dict[str, type[Rule]] = {rule.name: rule for rule in (*_NATIVE, *_LAYERED, *_WRAPPERS)}
SCHEDULES: dict[str, type[Schedule]] = {
    schedule.name: schedule
    for schedule in (Constant, Exponential, InverseTime, Linear, CosineQuarter, Cosine, WarmRestarts, OneCycle)
}
