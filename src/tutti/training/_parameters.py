"""What the parameters of a network have to be for members to be made of it."""

from torch import nn
from torch.nn.parameter import is_lazy

from tutti.core import InputError


def check_parameters(network: nn.Module) -> None:
    """Raises InputError where a network's parameters cannot be a member's row of real numbers.

    That is where it has none, where a size is not known before the first batch (torch's lazy modules), and where one
    that is trained holds complex numbers.
    """
    named = dict(network.named_parameters())
    if not named:
        raise InputError(f"The model, a {type(network).__name__}, has no parameters: there is nothing to train.")
    unknown = [name for name, value in named.items() if is_lazy(value)]
    if unknown:
        raise InputError(
            f"The sizes of {', '.join(unknown)} are not known yet: a lazy module takes them from its first batch.",
            fix="Give them: nn.Linear(8, 3) in place of nn.LazyLinear(3). Or give the module after one call of it.",
        )
    for name, value in named.items():
        if value.requires_grad and value.is_complex():
            held = str(value.dtype).removeprefix("torch.")
            raise InputError(
                f"The parameter {name} holds {held} numbers; members are rows of real ones.",
                fix="Keep real and imaginary parts: torch.view_as_real, and torch.view_as_complex in forward.",
            )
