"""Settings of fitting a GAN to a photograph."""

from dataclasses import asdict, dataclass
from typing import Annotated

from datamodules.errors import DataError
from datamodules.ranges import Range, Seed, check_limits

Steps = Annotated[int, Range(0, 1_000_000)]
Rate = Annotated[float, Range(1e-9, 100)]


@dataclass(frozen=True)
class InversionSettings:
    """Pivotal tuning (arXiv 2106.05744), as arXiv 2402.00225 uses it.

    Args:
        latent_steps: of the latent, the generator being fixed; 0 keeps the best candidate.
        latent_lr: peak learning rate of the latent.
        tuning_steps: of the generator, the latent being fixed; 0 leaves the generator alone.
        tuning_lr: peak learning rate of the generator.
        candidates: random latents of the class that the best start is looked for among, beside
            their mean.
        views: directions that the search for the view begins with, of those that training drew
            from.
        yaw_degrees: where the photograph was taken from instead, together with pitch_degrees; 0 is
            in front, positive to the right.
        pitch_degrees: likewise, positive above.
        seed: of the candidates and the views.
        perceptual_weights: file of VGG16's ImageNet weights, for the distance of images; by default
            torchvision's cache, and a distance of pixels at several scales where there is none.
    """

    latent_steps: Steps = 450
    latent_lr: Rate = 5e-3
    tuning_steps: Steps = 350
    tuning_lr: Rate = 3e-4
    candidates: Steps = 64
    views: Annotated[int, Range(1, 1_000_000)] = 48
    yaw_degrees: Annotated[float, Range(-360, 360)] | None = None
    pitch_degrees: Annotated[float, Range(-90, 90)] | None = None
    seed: Seed = 0
    perceptual_weights: str | None = None

    def __post_init__(self) -> None:
        """Raise DataError for a value outside its range."""
        check_limits(type(self), asdict(self))
        if (self.yaw_degrees is None) != (self.pitch_degrees is None):
            raise DataError(
                f"yaw_degrees is {self.yaw_degrees}, pitch_degrees {self.pitch_degrees}: give both "
                "to say where the photograph was taken from, or neither."
            )

    @property
    def view_is_given(self) -> bool:
        """True if the user says where the photograph was taken from."""
        return self.yaw_degrees is not None
