"""The rules that are written here, by name."""

from tutti.optim._adam import Adam, AdamW
from tutti.optim._adams import MARS, MAS, Adan, AdaPNM, AdEMAMix, DiffGrad, EXAdam, LaProp, NAdam, QHAdam, RAdam
from tutti.optim._adaptive import Adadelta, Adagrad, RMSProp
from tutti.optim._belief import MSVAG, ACProp, AdaBelief, AngularGrad, CProp, EAdam, FastAdaBelief, SDProp
from tutti.optim._bounded import ADOPT, SMORMS3, ACClip, AdaBound, AdaMod, AMSBound
from tutti.optim._by_loss import AEGD, ALIG, PAL, Eve
from tutti.optim._distance import DAdaptAdam, DAdaptSGD, Prodigy
from tutti.optim._factored import SM3, Adafactor
from tutti.optim._largest import AdaMax, AdamX, AMSGrad, Padam, SAMSGrad, SoftplusAdam
from tutti.optim._layered import AdaShift, Gravity, StableAdamW, TAdam
from tutti.optim._layerwise import LAMB, LARS, Fromage, NovoGrad
from tutti.optim._memory import AdaFom, AdamNC, AdaX, AdaXW, Expectigrad, NosAdam, SAdam, Yogi
from tutti.optim._momenta import PID, PNM, QHM, SGDM, SGDW, SRSGD, AccSGD, AggMo, CoolMomentum, EarlyMomentum
from tutti.optim._momentum import SGD, HeavyBall, Momentum, Nesterov
from tutti.optim._muon import Muon
from tutti.optim._norms import SNGM, SWATS, AcceleGrad, AdagradNorm, Adai, AdaSGD, AvaGrad, NormalisedSGD, WNGrad
from tutti.optim._online import FTRL, MADGRAD, SRMM, AdaAlter, AdaSqrt, Kate, RMSterov, SCAdagrad, SCRMSProp
from tutti.optim._preconditioned import SOAP, Shampoo
from tutti.optim._projected import SGDP, AdamP
from tutti.optim._rule import Rule
from tutti.optim._schedule_free import ScheduleFreeAdamW, ScheduleFreeSGD
from tutti.optim._sign import CautiousAdamW, CautiousLion, Grams, Lion, Rprop, SignSGD, Signum, Tiger
from tutti.optim._wrappers import ASAM, EMA, SAM, SWA, Centralised, Lookahead, Wrapper

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
