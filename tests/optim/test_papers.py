"""Rules without a peer that does the same take the steps of their paper's algorithm, written out in NumPy."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from numpy import ndarray
from torch import Tensor
from torch.testing import assert_close

from tutti.core import configure
from tutti.optim import RULES
from tutti.optim._elementwise import Elementwise

from .conftest import DECAY, STEPS, cut, go_on, gradient_at, layout_of, peaks, start, trace
from .test_peers import CASES


@dataclass
class Member:
    """One run on its way: what an algorithm remembers is set on it as attributes."""

    w: ndarray
    g: ndarray
    t: int = 0
    lr: float = 0.0
    beta: float = 0.0

    def had(self, name: str, first: Any = 0.0) -> Any:
        """What was remembered by this name; `first` at the first step."""
        return self.__dict__.setdefault("memory", {}).get(name, first)

    def keep(self, **values: Any) -> None:
        self.__dict__.setdefault("memory", {}).update(values)


Algorithm = Callable[[Member], ndarray]  # the weights after a step


def adam(x: Member, beta2: float = 0.999, eps: float = 1e-8) -> ndarray:
    """m̂/(√v̂ + ε)."""
    m = x.beta * x.had("m") + (1 - x.beta) * x.g
    v = beta2 * x.had("v") + (1 - beta2) * x.g**2
    x.keep(m=m, v=v)
    return (m / (1 - x.beta**x.t)) / (np.sqrt(v / (1 - beta2**x.t)) + eps)


def moments(x: Member, beta1: float, beta2: float) -> tuple[ndarray, ndarray]:
    m = beta1 * x.had("m") + (1 - beta1) * x.g
    v = beta2 * x.had("v") + (1 - beta2) * x.g**2
    x.keep(m=m, v=v)
    return m, v


def c_adamw(x: Member) -> ndarray:
    u = adam(x)
    phi = (u * x.g > 0).astype(float)
    return x.w - x.lr * len(x.w) / (phi.sum() + 1) * phi * u


def c_lion(x: Member) -> ndarray:
    m = x.had("m")
    u = np.sign(x.beta * m + (1 - x.beta) * x.g)
    x.keep(m=0.99 * m + 0.01 * x.g)
    phi = (u * x.g > 0).astype(float)
    return x.w - x.lr * len(x.w) / (phi.sum() + 1) * phi * u


def adamx(x: Member) -> ndarray:
    now, before = x.beta * 0.9 ** (x.t - 1), x.beta * 0.9 ** (x.t - 2)
    m, v = moments(x, now, 0.999)
    top = v if x.t == 1 else np.maximum((1 - now) ** 2 / (1 - before) ** 2 * x.had("top"), v)
    x.keep(top=top)
    return x.w - x.lr * m / (np.sqrt(top) + 1e-8)


def padam(x: Member, p: float) -> ndarray:
    m, v = moments(x, x.beta, 0.999)
    top = np.maximum(x.had("top"), v)
    x.keep(top=top)
    return x.w - x.lr * m / (top + 1e-8) ** p


def softplus_adam(x: Member, largest: bool) -> ndarray:
    m, v = moments(x, x.beta, 0.999)
    top = np.maximum(x.had("top"), v) if largest else v
    x.keep(top=top)
    return x.w - x.lr * m / (np.log(1 + np.exp(20 * np.sqrt(top))) / 20)


def acclip(x: Member, a: float) -> ndarray:
    m = x.beta * x.had("m") + (1 - x.beta) * x.g
    tau = 0.99 * x.had("tau") + 0.01 * np.abs(x.g) ** a
    x.keep(m=m, tau=tau)
    return x.w - x.lr * np.minimum(tau ** (1 / a) / (np.abs(m) + 1e-5), 1) * m


def smorms3(x: Member) -> ndarray:
    mem = x.had("mem", 1.0)
    r = 1 / (mem + 1)
    g1, g2 = (1 - r) * x.had("g1") + r * x.g, (1 - r) * x.had("g2") + r * x.g**2
    ratio = g1 * g1 / (g2 + 1e-16)
    x.keep(g1=g1, g2=g2, mem=1 + mem * (1 - ratio))
    return x.w - x.g * np.minimum(x.lr, ratio) / (np.sqrt(g2) + 1e-16)


def acprop(x: Member) -> ndarray:
    m, s = x.beta * x.had("m") + (1 - x.beta) * x.g, x.had("s")
    x.keep(m=m, s=0.9 * s + 0.1 * (x.g - m) ** 2 + 1e-3)
    return x.w - x.lr * (x.g if x.t == 1 else x.g / (np.sqrt(s / (1 - 0.9 ** (x.t - 1))) + 1e-3))


def fast_adabelief(x: Member) -> ndarray:
    beta2 = 1 - 0.9 / x.t
    m = x.beta * x.had("m") + (1 - x.beta) * x.g
    s = beta2 * x.had("s") + (1 - beta2) * (x.g - m) ** 2
    top = np.maximum(x.had("top"), s)
    x.keep(m=m, s=s, top=top)
    return x.w - x.lr * m / (top + 0.3 / x.t)


def eadam(x: Member) -> ndarray:
    m = x.beta * x.had("m") + (1 - x.beta) * x.g
    v = 0.999 * x.had("v") + 0.001 * x.g**2 + 1e-4
    x.keep(m=m, v=v)
    return x.w - x.lr * (m / (1 - x.beta**x.t)) / np.sqrt(v / (1 - 0.999**x.t))


def sdprop(x: Member) -> ndarray:
    m, c = x.had("m"), x.had("c")
    c = 0.9 * c + 0.9 * 0.1 * (x.g - m) ** 2
    x.keep(m=0.9 * m + 0.1 * x.g, c=c)
    return x.w - x.lr * np.sqrt(1 - 0.9**x.t) * x.g / (np.sqrt(c) + 1e-8)


def cprop(x: Member) -> ndarray:
    u = adam(x)
    m, v = 0.9 * x.had("cm") + 0.1 * x.g, 0.9 * x.had("cv") + 0.1 * x.g**2
    x.keep(cm=m, cv=v)
    left = 1 - 0.9**x.t
    n = sum(0.9**i for i in range(x.t))
    error = np.sqrt(np.maximum(v / left - (m / left) ** 2, 0) / (n - 1 + 1e-8)) + 1e-8
    below = np.array([0.5 * (1 + math.erf(z / math.sqrt(2))) for z in -m / left / error])
    return x.w - x.lr * np.minimum(1, 2 * 0.7 * np.abs(below - 0.5)) * u


def angulargrad(x: Member, size: Callable[[ndarray], ndarray]) -> ndarray:
    u, last = adam(x), x.had("last", np.zeros_like(x.g))
    angle = np.arctan(np.abs((x.g - last) / (1 + x.g * last)))
    smaller = np.minimum(angle, x.had("angle"))
    x.keep(last=x.g, angle=angle)
    return x.w - x.lr * (0.5 * np.tanh(np.abs(size(smaller))) + 0.5) * u


def yogi(x: Member) -> ndarray:
    m, v = x.beta * x.had("m") + (1 - x.beta) * x.g, x.had("v", 0.1)
    v = v - 0.2 * np.sign(v - x.g**2) * x.g**2
    x.keep(m=m, v=v)
    return x.w - x.lr * (m / (1 - x.beta**x.t)) / (np.sqrt(v / (1 - 0.8**x.t)) + 1e-2)


def ftrl(x: Member) -> ndarray:
    """With σ as the difference of two inverse rates √n/η, so that the rate may change."""
    n = x.had("n", np.zeros_like(x.g)) + x.g**2
    inverse = np.sqrt(n) / x.lr
    z = x.had("z") + x.g - (inverse - x.had("inverse")) * x.w
    x.keep(n=n, z=z, inverse=inverse)
    w = -(z - 0.3 * np.sign(z)) / (0.5 / x.lr + inverse + 0.2)
    w[np.abs(z) <= 0.3] = 0
    return w


def adax(x: Member) -> ndarray:
    m = x.beta * x.had("m") + (1 - x.beta) * x.g
    v = 1.01 * x.had("v") + 0.01 * x.g**2
    x.keep(m=m, v=v)
    return x.w - x.lr * m / (np.sqrt(v / (1.01**x.t - 1)) + 1e-3)


def adamnc(x: Member, fading: float) -> ndarray:
    beta1 = x.beta * fading ** (x.t - 1)
    m = beta1 * x.had("m") + (1 - beta1) * x.g
    squares = [*x.had("squares", []), x.g**2]
    x.keep(m=m, squares=squares)
    return x.w - x.lr * m / (np.sqrt(np.mean(squares, axis=0)) + 1e-8)


def nosadam(x: Member) -> ndarray:
    m = x.beta * x.had("m") + (1 - x.beta) * x.g
    squares = [*x.had("squares", []), x.g**2]
    x.keep(m=m, squares=squares)
    shares = np.arange(1, x.t + 1) ** -0.1
    v = np.average(squares, axis=0, weights=shares)
    return x.w - x.lr * m / (np.sqrt(v) + 1e-8)


def expectigrad(x: Member) -> ndarray:
    s, n = x.had("s") + x.g**2, x.had("n") + (x.g != 0)
    m = x.beta * x.had("m") + (1 - x.beta) * x.g / (1e-8 + np.sqrt(s / n))
    x.keep(s=s, n=n, m=m)
    return x.w - x.lr / (1 - x.beta**x.t) * m


def sadam(x: Member) -> ndarray:
    beta1, beta2 = x.beta * 0.95 ** (x.t - 1), 1 - 0.6 / x.t
    m, v = moments(x, beta1, beta2)
    return x.w - x.lr * m / (v + 0.1 / x.t)


def adasqrt(x: Member) -> ndarray:
    s = x.had("s") + x.g**2
    x.keep(s=s)
    return x.w - x.lr * math.sqrt(x.t) * x.g / (s + 1e-3)


def adaalter(x: Member) -> ndarray:
    b = x.had("b", 0.5)
    x.keep(b=b + x.g**2)
    return x.w - x.lr * x.g / np.sqrt(b + 0.2**2)


def sc_adagrad(x: Member) -> ndarray:
    v = x.had("v") + x.g**2
    x.keep(v=v)
    return x.w - x.lr * x.g / (v + 0.3 * np.exp(-0.2 * v))


def sc_rmsprop(x: Member) -> ndarray:
    beta = 1 - 0.8 / x.t
    v = beta * x.had("v") + (1 - beta) * x.g**2
    x.keep(v=v)
    return x.w - x.lr * x.g / (v + 0.3 / x.t * np.exp(-0.2 * x.t * v))


def srmm(x: Member) -> ndarray:
    a = ((x.t - 1) % 7 + 1) ** -0.5
    mean = (1 - a) * x.had("mean") + a * x.g
    centre = (1 - a) * x.had("centre") + a * x.w - x.lr * mean
    x.keep(mean=mean, centre=centre)
    return centre


def rmsterov(x: Member) -> ndarray:
    v = 0.99 * x.had("v", 1.0) + 0.01 * x.g**2
    m = x.beta * x.had("m") + x.lr / np.sqrt(v + 1e-10) * x.g
    x.keep(v=v, m=m)
    return x.w - (x.beta * m + x.lr / np.sqrt(v + 1e-10) * x.g)


def sgdm(x: Member) -> ndarray:
    m = x.beta * x.had("m") + (1 - x.beta) * x.g
    x.keep(m=m)
    return x.w - x.lr * m


def sgdem(x: Member) -> ndarray:
    m = (x.beta if x.t <= 12 else 0.0) * x.had("m") + x.g
    x.keep(m=m)
    return x.w - x.lr * m


def srsgd(x: Member, restart: int) -> ndarray:
    v = x.had("v", x.w)
    ahead = x.w - x.lr * x.g
    s = (x.t - 1) % restart
    x.keep(v=ahead)
    return ahead + s / (s + 3) * (ahead - v)


def coolmomentum(x: Member) -> ndarray:
    rho = max(0.0, 1 - (1 - x.beta) / 0.95 ** (x.t - 1))
    move = rho * x.had("move") - x.lr * (1 + rho) / 2 * x.g
    x.keep(move=move)
    return x.w + move


def sngm(x: Member) -> ndarray:
    u = x.beta * x.had("u") + x.g / np.linalg.norm(x.g)
    x.keep(u=u)
    return x.w - x.lr * u


def adagrad_norm(x: Member) -> ndarray:
    b = math.sqrt(x.had("b", 0.1) ** 2 + np.linalg.norm(x.g) ** 2)
    x.keep(b=b)
    return x.w - x.lr / b * x.g


def wngrad(x: Member) -> ndarray:
    b = x.had("b", 2.0)
    b += np.linalg.norm(x.g) ** 2 / b
    x.keep(b=b)
    return x.w - x.lr / b * x.g


def accelegrad(x: Member) -> ndarray:
    """The paper counts t = 0, 1, …, and its x_{t+1}, where the gradient is taken, is the present w."""
    t = x.t - 1
    alpha = [1.0 if k <= 2 else (k + 1) / 4 for k in (t, t + 1)]
    total = x.had("total") + alpha[0] ** 2 * np.linalg.norm(x.g) ** 2
    eta = 2 * x.lr / math.sqrt(0.5**2 + total)
    z, y = x.had("z", x.w) - alpha[0] * eta * x.g, x.w - eta * x.g
    x.keep(total=total, z=z)
    tau = 1 / alpha[1]
    return tau * z + (1 - tau) * y


def adasgd(x: Member) -> ndarray:
    m = x.beta * x.had("m") + (1 - x.beta) * x.g
    v = 0.99 * x.had("v") + 0.01 * np.mean(x.g**2)
    x.keep(m=m, v=v)
    return x.w - x.lr * (m / (1 - x.beta**x.t)) / (math.sqrt(v / (1 - 0.99**x.t)) + 1e-8)


def avagrad(x: Member) -> ndarray:
    eta = 1 / (np.sqrt(x.had("v", np.zeros_like(x.g))) + 0.1)
    m, _ = moments(x, x.beta, 0.999)
    return x.w - x.lr * eta / np.linalg.norm(eta / math.sqrt(len(eta))) * m


def swats(x: Member) -> ndarray:
    if x.had("rate") != 0:
        v = x.beta * x.had("velocity") + x.g
        x.keep(velocity=v)
        return x.w - (1 - x.beta) * x.lr * x.had("rate") * v
    p = -x.lr * adam(x)
    gamma = p @ p / -(p @ x.g) / x.lr  # over the rate, so that a schedule may change it
    ratio = 0.999 * x.had("ratio") + 0.001 * gamma
    corrected = ratio / (1 - 0.999**x.t)
    x.keep(ratio=ratio)
    if x.t > 1 and corrected > 0 and x.lr * abs(corrected - gamma) < 1e-3:
        x.keep(rate=corrected)
    return x.w + p


def tadam(x: Member) -> ndarray:
    m, v, half = x.had("m", np.zeros_like(x.g)), x.had("v", np.zeros_like(x.g)), len(x.g) // 2
    mean, weights = np.empty_like(x.g), x.had("W", [x.beta / (1 - x.beta)] * 2)
    after = []
    for part, W in zip((slice(0, half), slice(half, None)), weights, strict=True):
        d = len(x.g[part])
        w = (0.5 * d + d) / (0.5 * d + np.sum((x.g[part] - m[part]) ** 2 / (v[part] + 1e-8)))
        mean[part] = W / (W + w) * m[part] + w / (W + w) * x.g[part]
        after.append(max(0.0, (2 * x.beta - 1) / x.beta) * W + w)
    v = 0.999 * v + 0.001 * x.g**2
    x.keep(m=mean, v=v, W=after)
    return x.w - x.lr * (mean / (1 - x.beta**x.t)) / (np.sqrt(v / (1 - 0.999**x.t)) + 1e-8)


def adapnm(x: Member) -> ndarray:
    past = [*x.had("past", []), x.g]
    own = [(1 - x.beta**2) * sum(x.beta ** (2 * i) * g for i, g in enumerate(past[k::-2])) for k in (-1, -2)]
    v = 0.999 * x.had("v") + 0.001 * x.g**2
    top = np.maximum(x.had("top"), v)
    x.keep(past=past, v=v, top=top)
    both = (1.4 * own[0] - 0.4 * (own[1] if len(past) > 1 else 0)) / math.sqrt(1.4**2 + 0.4**2)
    return x.w - x.lr * (both / (1 - x.beta**x.t)) / (np.sqrt(top / (1 - 0.999**x.t)) + 0.1)


def gravity(x: Member) -> ndarray:
    half = len(x.g) // 2
    zeta = np.concatenate([p / (1 + (p * np.abs(p).max()) ** 2) for p in (x.g[:half], x.g[half:])])
    beta = (x.beta * x.t + 1) / (x.t + 2)
    V = beta * x.had("V") + (1 - beta) * zeta
    x.keep(V=V)
    return x.w - x.lr * V


def mas(x: Member) -> ndarray:
    u, v = adam(x), x.beta * x.had("velocity") + x.g
    x.keep(velocity=v)
    return x.w - x.lr * (0.3 * v + 0.7 * u)


def qhadam(x: Member) -> ndarray:
    m, v = moments(x, x.beta, 0.9)
    above = 0.6 * x.g + 0.4 * m / (1 - x.beta**x.t)
    return x.w - x.lr * above / (np.sqrt(0.4 * x.g**2 + 0.6 * v / (1 - 0.9**x.t)) + 1e-8)


def laprop(x: Member) -> ndarray:
    v = 0.9 * x.had("v") + 0.1 * x.g**2
    m = x.beta * x.had("m") + (1 - x.beta) * x.g / (np.sqrt(v / (1 - 0.9**x.t)) + 1e-3)
    x.keep(v=v, m=m)
    return x.w - x.lr * m / (1 - x.beta**x.t)


def diffgrad(x: Member) -> ndarray:
    u, last = adam(x), x.had("last")
    x.keep(last=x.g)
    return x.w - x.lr / (1 + np.exp(-np.abs(last - x.g))) * u


def stable_adamw(x: Member) -> ndarray:
    beta1, beta2 = (b * (1 - b ** (x.t - 1)) / (1 - b**x.t) for b in (x.beta, 0.99))
    m, v = moments(x, beta1, beta2)
    half = len(x.g) // 2
    out = x.w.copy()
    for part in (slice(0, half), slice(half, None)):
        rms = math.sqrt(np.mean(x.g[part] ** 2 / np.maximum(v[part], 1e-16)))
        out[part] -= x.lr / max(1, rms) * m[part] / (np.sqrt(v[part]) + 1e-8)
    return out


def case(name: str, algorithm: Algorithm, *, calm: float = 1.0, **options: Any) -> Any:
    return pytest.param(name, options, algorithm, calm, id=name + "".join(f"-{key}" for key in options))


CASES_OF_PAPERS = [
    case("c_adamw", c_adamw),
    case("c_lion", c_lion),
    case("adamx", adamx, fading=0.9, calm=0.1),
    case("padam", lambda x: padam(x, 0.125)),
    case("padam", lambda x: padam(x, 0.5), exponent=0.5, calm=0.1),
    case("softplus_adam", lambda x: softplus_adam(x, False), sharpness=20.0, calm=0.1),
    case("samsgrad", lambda x: softplus_adam(x, True), sharpness=20.0, calm=0.1),
    case("acclip", lambda x: acclip(x, 1)),
    case("acclip", lambda x: acclip(x, 1.5), alpha=1.5),
    case("smorms3", smorms3),
    case("acprop", acprop, beta2=0.9, epsilon=1e-3, calm=0.1),
    case("fast_adabelief", fast_adabelief, delta=0.3, calm=0.1),
    case("eadam", eadam, epsilon=1e-4),
    case("sdprop", sdprop, gamma=0.9),
    case("cprop", cprop, beta_trust=0.9, trust=0.7),
    case("angulargrad", lambda x: angulargrad(x, np.cos)),
    case("angulargrad", lambda x: angulargrad(x, np.tan), angle="tan"),
    case("yogi", yogi, beta2=0.8, start=0.1, epsilon=1e-2),
    case("ftrl", ftrl, beta=0.5, lambda1=0.3, lambda2=0.2),
    case("adax", adax, growth=0.01, epsilon=1e-3),
    case("adaxw", adax, growth=0.01, epsilon=1e-3),
    case("adafom", lambda x: adamnc(x, 1.0)),
    case("adamnc", lambda x: adamnc(x, 0.9), fading=0.9),
    case("nosadam", nosadam),
    case("expectigrad", expectigrad),
    case("sadam", sadam, gamma=0.6, delta=0.1, fading=0.95, calm=0.1),
    case("adasqrt", adasqrt, calm=0.01),
    case("adaalter", adaalter, start=0.5, epsilon=0.2),
    case("sc_adagrad", sc_adagrad, xi1=0.2, xi2=0.3),
    case("sc_rmsprop", sc_rmsprop, gamma=0.8, xi1=0.2, xi2=0.3, calm=0.1),
    case("srmm", srmm, window=7),
    case("rmsterov", rmsterov),
    case("sgdm", sgdm),
    case("sgdem", sgdem, until=12),
    case("srsgd", lambda x: srsgd(x, 6), restart=6),
    case("srsgd", lambda x: srsgd(x, 1000), restart=0, calm=0.1),
    case("coolmomentum", coolmomentum, cooling=0.95),
    case("normalised_sgd", lambda x: x.w - x.lr * x.g / np.linalg.norm(x.g)),
    case("sngm", sngm),
    case("adagrad_norm", adagrad_norm),
    case("wngrad", wngrad, start=2.0),
    case("accelegrad", accelegrad, scale=0.5),
    case("adasgd", adasgd, beta2=0.99),
    case("avagrad", avagrad),
    case("swats", swats, tolerance=1e-3),
    case("tadam", tadam, freedom=0.5),
    case("adapnm", adapnm, beta=0.4, epsilon=0.1),
    case("gravity", gravity),
    case("mas", mas, descent=0.3),
    case("qhadam", qhadam, nu1=0.4, nu2=0.6, beta2=0.9),
    case("laprop", laprop, beta2=0.9, epsilon=1e-3),
    case("diffgrad", diffgrad),
    case("stable_adamw", stable_adamw),
]


def alone(algorithm: Algorithm, rates: Tensor, momenta: Tensor, decay: str) -> Tensor:
    """Each member by the algorithm alone: the weights after each step, [step, member, weights]."""
    finished = []
    for weights, peak, momentum in zip(start(), rates.flatten().tolist(), momenta.flatten().tolist(), strict=True):
        x = Member(weights.numpy().copy(), np.zeros(0), beta=momentum)
        path = []
        for step in range(1, STEPS + 1):
            x.t, x.lr, before = step, peak * cut(step), x.w
            x.g = gradient_at(torch.from_numpy(x.w), step).numpy()
            if decay == "coupled":
                x.g = x.g + DECAY * x.w
            x.w = algorithm(x)
            if decay == "decoupled":
                x.w = x.w - x.lr * DECAY * before
            path.append(torch.from_numpy(x.w.copy()))
        finished.append(torch.stack(path))
    return torch.stack(finished, dim=1)


# catalogue: L6
@pytest.mark.parametrize("momenta", ["shared", "own"])
@pytest.mark.parametrize(("name", "options", "algorithm", "calm"), CASES_OF_PAPERS)
def test_stack_takes_the_papers_steps(
    name: str, options: dict[str, Any], algorithm: Algorithm, calm: float, momenta: str
) -> None:
    rule = configure("optimiser", RULES, {"name": name, **options})
    own = torch.tensor([0.5, 0.9, 0.8, 0.95, 0.1], dtype=torch.float64)[:, None]
    given: float | Tensor = 0.9 if momenta == "shared" else own
    ours = trace(rule, start(), calm * peaks(), given, layout=layout_of(start()))
    theirs = alone(algorithm, calm * peaks(), own if momenta == "own" else torch.full_like(own, 0.9), rule.decay)
    assert_close(ours, theirs, rtol=1e-9, atol=1e-9)


def test_swats_turns_for_some_members_only_in_that_comparison() -> None:
    rule, weights = configure("optimiser", RULES, {"name": "swats", "tolerance": 1e-3}), start()
    state = rule.init(weights)
    go_on(rule, state, weights, peaks(), 0.9, decay=DECAY, first=1, last=STEPS)
    assert 0 < (state["found"] > 0).sum() < len(weights)


def test_every_elementwise_rule_is_compared_with_a_peer_or_its_paper() -> None:
    compared = {c.values[0] for c in CASES} | {c.values[0] for c in CASES_OF_PAPERS}
    assert {name for name, rule in RULES.items() if issubclass(rule, Elementwise)} <= compared
