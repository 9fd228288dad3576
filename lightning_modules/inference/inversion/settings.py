"""Settings of fitting a GAN to a photograph."""

from dataclasses import dataclass

from datamodules.errors import DataError


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

    latent_steps: int = 450
    latent_lr: float = 5e-3
    tuning_steps: int = 350
    tuning_lr: float = 3e-4
    candidates: int = 64
    views: int = 48
    yaw_degrees: float | None = None
    pitch_degrees: float | None = None
    seed: int = 0
    perceptual_weights: str | None = None

    def __post_init__(self) -> None:
        """Raise DataError for a value outside its range."""
        for name, least in (
            ("latent_steps", 0),
            ("tuning_steps", 0),
            ("candidates", 0),
            ("views", 1),
            ("seed", 0),
        ):
            if getattr(self, name) < least:
                value = getattr(self, name)
                raise DataError(f"{name} is {value}, it must be at least {least}: change --{name}.")
        for name in ("latent_lr", "tuning_lr"):
            if not getattr(self, name) > 0:
                raise DataError(f"{name} is {getattr(self, name)}, it must be above 0.")
        if (self.yaw_degrees is None) != (self.pitch_degrees is None):
            raise DataError(
                f"yaw_degrees is {self.yaw_degrees}, pitch_degrees {self.pitch_degrees}: give both "
                "to say where the photograph was taken from, or neither."
            )
        if self.pitch_degrees is not None and not -90 <= self.pitch_degrees <= 90:
            raise DataError(f"pitch_degrees is {self.pitch_degrees}: give -90 to 90.")

    @property
    def view_is_given(self) -> bool:
        """True if the user says where the photograph was taken from."""
        return self.yaw_degrees is not None
