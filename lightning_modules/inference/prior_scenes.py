"""Scenes drawn from a prior over tokens, and those of its stage-1 model."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from datamodules.errors import DataError
from lightning_modules.inference.camera_paths import trajectory_cameras
from lightning_modules.inference.checkpoint_file import Checkpoint
from lightning_modules.inference.prior_settings import (
    EachConditions,
    SharedConditions,
    set_decoding,
    shared_conditions,
)
from lightning_modules.inference.sampling_options import SamplingOptions, check_unused
from lightning_modules.inference.scene_maker import TokenDrawer
from models.autoencoder import CanonicalView, TokenAutoencoder
from models.generator import TokenGenerator
from models.priors.conditions import ConditionDropout
from models.priors.sampling import SampleNoise, TokenSampling
from renderers.cameras import Camera


@dataclass(frozen=True)
class PriorScenes(TokenDrawer):
    """Scenes of any prior over the tokens of any stage-1 model.

    sampling: how tokens are drawn; dropout: how often training left conditions out; shared:
    conditions beside the class, of all scenes or of each; options: what a user said of drawing.
    """

    checkpoint: str
    generator: TokenGenerator
    names: tuple[str, ...]
    sampling: TokenSampling = TokenSampling()
    dropout: ConditionDropout = ConditionDropout()
    shared: SharedConditions | EachConditions = SharedConditions()
    options: SamplingOptions = SamplingOptions()

    @staticmethod
    def opened(
        opened: Checkpoint,
        generator: TokenGenerator,
        options: SamplingOptions,
    ) -> "PriorScenes":
        """Those of an open checkpoint, drawn as the options say.

        Raises:
            FileNotFoundError, DataError: an option is outside its range, or not of this prior.
        """
        checkpoint = str(opened.path)
        why = f"{checkpoint} is of a prior, only a GAN's latents can be truncated"
        check_unused({"truncation": options.truncation}, why)
        set_decoding(generator.prior, checkpoint, options)
        shared = shared_conditions(options, generator.prior.kinds, checkpoint)
        sampling = options.changed(opened.part("sampling", TokenSampling, TokenSampling()))
        dropout = opened.part("dropout", ConditionDropout, ConditionDropout())
        if sampling.guided and dropout.everything == 0:
            raise DataError(
                f"guidance is {sampling.guidance}, and {checkpoint} was never trained without "
                "conditions (`dropout.everything`): leave --guidance out."
            )
        names = opened.part("classes", tuple[str, ...])
        return PriorScenes(checkpoint, generator, names, sampling, dropout, shared, options)

    @property
    def autoencoder(self) -> TokenAutoencoder:
        """The stage-1 model."""
        return self.generator.autoencoder

    @property
    def view(self) -> CanonicalView:
        """The camera photographs are taken to be seen from."""
        return self.autoencoder.view

    @property
    def classes(self) -> int:
        """Number of classes of the prior."""
        return self.generator.prior.kinds.classes

    @property
    def resolution(self) -> int:
        """Side in pixels of the stage-1 model's images."""
        return self.autoencoder.resolution

    def judged_views(self, count: int) -> Camera:
        """Cameras (count,) from left to right within the views that stage 1 judges."""
        return trajectory_cameras(self.view, "front_arc", count)

    def tokens(
        self, labels: Sequence[int], seeds: Sequence[int], given: Tensor | None = None
    ) -> Tensor:
        """Tokens (B, T) of labels and seeds; see `TokenPrior.generate` for `given`."""
        device = self.generator.prior.head.weight.device
        conditions, noise = self.shared.of(labels, device), SampleNoise(seeds, device)
        return self.generator.tokens(conditions, noise, self.sampling, given, self.options.dtype)

    def told(self, size: Tensor, time_of_day: Tensor) -> "PriorScenes":
        """This drawer for B scenes of which each is to have a size (B, 3) of its own, NaN any, and
        a time of day (B,), -1 any, as far as the prior takes them."""
        kinds = self.generator.prior.kinds
        each = EachConditions(
            size if kinds.size else None, time_of_day if kinds.time_of_day else None
        )
        return replace(self, shared=each)

    def check_labels(self, labels: Sequence[int]) -> None:
        """DataError if guidance is asked for where there is no condition that it could stress, or a
        class is left unknown that training always knew."""
        never = self.dropout.everything == self.dropout.each == 0
        if self.classes and never and -1 in labels:
            raise DataError(
                f"{self.checkpoint} was trained with the class always given (`dropout`): name "
                "classes instead of any."
            )
        if self.shared.unset and set(labels) == {-1}:
            check_unused(
                {"guidance": self.options.guidance},
                "there is no class or other condition it stresses",
            )

    def unnamed(self) -> DataError:
        """The error where a class must be named and none is."""
        return DataError(
            f"{self.checkpoint} is a prior: give --classes and --seeds, photographs with "
            "--images, or scenes with --tokens."
        )
