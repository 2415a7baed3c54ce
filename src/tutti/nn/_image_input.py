"""The front of a network for images: raw pixels in, standardised numbers out. No parameters."""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn


class ImageInput(nn.Module):
    """(pixels − mean) · scale for each channel: uint8 [*member, batch, channel, height, width] -> float32.

    Buffers mean and scale [*member, channel], in raw pixel values, fitted on training rows (`statistics`).
    """

    stacked = True
    mean: Tensor
    scale: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.full((channels,), 127.5))
        self.register_buffer("scale", torch.full((channels,), 1 / 64))

    @staticmethod
    def statistics(
        counts: Float[Tensor, "channel level"],
    ) -> tuple[Float[Tensor, " channel"], Float[Tensor, " channel"]]:
        """Mean and 1 / standard deviation of each channel, from how often it takes each value 0, 1, 2, …

        A channel that never varies gets scale 1.
        """
        share = counts.double() / counts.sum(1, keepdim=True)
        level = torch.arange(counts.shape[1], dtype=torch.float64)
        mean = share @ level
        variance = (share * (level - mean[:, None]).square()).sum(1)
        scale = torch.where(variance > 0, variance.clamp(min=1e-12).rsqrt(), 1.0)
        return mean.float(), scale.float()

    def forward(
        self, pixels: Shaped[Tensor, "*member batch channel height width"]
    ) -> Float[Tensor, "*member batch channel height width"]:
        mean, scale = (b[..., None, :, None, None] for b in (self.mean, self.scale))
        return (pixels.to(self.mean.dtype) - mean) * scale
