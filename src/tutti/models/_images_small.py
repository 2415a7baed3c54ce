"""Two small classics: the network that courses show for MNIST, and LeNet-5 in its modern form."""

from dataclasses import dataclass
from typing import ClassVar

from torch import nn as torch_nn

from tutti import core, nn
from tutti.models._images import ImageModel, ImageNetwork, check_size


@dataclass(frozen=True, kw_only=True)
class SmallCNN(ImageModel):
    """The network of PyTorch's first MNIST example: 21,840 parameters for 28 × 28 grey images and 10 classes.

    Convolution 5 × 5 to 10 channels, max pooling 2, ReLU; convolution 5 × 5 to 20 channels, channel dropout, max
    pooling 2, ReLU; dense to 50, ReLU, dropout; dense to the outputs. Both dropouts take the setting's `dropout`,
    0.5 in the original and in `setting`.
    """

    name: ClassVar[str] = "smallcnn"
    setting: ClassVar[core.Setting | None] = core.Setting(dropout=0.5)
    passes: ClassVar[float] = 2.4

    augmented: bool = False

    def build(self, shape: core.ImageShape, outputs: int) -> ImageNetwork:
        check_size(shape, 16, self.name)
        height, width = (((side - 4) // 2 - 4) // 2 for side in (shape.height, shape.width))
        return ImageNetwork(
            shape,
            *self.augmentation(),
            nn.Convolution(shape.channels, 10, 5),
            nn.MaxPool(2),
            torch_nn.ReLU(),
            nn.Convolution(10, 20, 5),
            nn.ChannelDropout(),
            nn.MaxPool(2),
            torch_nn.ReLU(),
            nn.Flatten(),
            nn.Linear(20 * height * width, 50),
            torch_nn.ReLU(),
            nn.Dropout(),
            nn.Linear(50, outputs),
        )


@dataclass(frozen=True, kw_only=True)
class LeNet(ImageModel):
    """LeNet-5 (LeCun et al. 1998) as it is taught today: 61,706 parameters for 28 × 28 grey images and 10 classes.

    Convolution 5 × 5 to 6 channels (padding 2), pooling 2; convolution 5 × 5 to 16 channels, pooling 2; dense to
    120, to 84, to the outputs; the activation between all. Unlike in the paper every map of the second convolution
    sees all of the first, pooling has no weights, and the last layer is dense: theirs compares with drawn digits.
    activation: by name; "tanh" is the original. pooling: "average" (the original) or "max".
    """

    name: ClassVar[str] = "lenet"
    passes: ClassVar[float] = 2.4

    augmented: bool = False
    activation: str = "tanh"
    pooling: str = "average"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.pooling not in ("average", "max"):
            raise core.unknown("pooling", self.pooling, ("average", "max"))
        nn.activation(self.activation)

    def build(self, shape: core.ImageShape, outputs: int) -> ImageNetwork:
        check_size(shape, 12, self.name)
        height, width = ((side // 2 - 4) // 2 for side in (shape.height, shape.width))
        pool = nn.AveragePool if self.pooling == "average" else nn.MaxPool
        return ImageNetwork(
            shape,
            *self.augmentation(),
            nn.Convolution(shape.channels, 6, 5, padding=2),
            nn.activation(self.activation),
            pool(2),
            nn.Convolution(6, 16, 5),
            nn.activation(self.activation),
            pool(2),
            nn.Flatten(),
            nn.Linear(16 * height * width, 120),
            nn.activation(self.activation),
            nn.Linear(120, 84),
            nn.activation(self.activation),
            nn.Linear(84, outputs),
        )
