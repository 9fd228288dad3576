"""The image source of a checkpoint, whichever system it holds."""

from lightning_modules.evaluation.gan_images import GANImages
from lightning_modules.evaluation.image_source import ImageSource
from lightning_modules.evaluation.prior_images import PriorImages
from lightning_modules.inference.gan_scenes import GANScenes
from lightning_modules.inference.sampling_options import SamplingOptions
from lightning_modules.inference.scene_makers import open_drawer


def open_source(
    checkpoint: str, stage1: str | None, options: SamplingOptions, device: str
) -> ImageSource:
    """What draws images from a checkpoint, on a device.

    Raises:
        FileNotFoundError, DataError: the checkpoint is missing, draws nothing, or does not take an
            option.
    """
    maker = open_drawer(checkpoint, stage1, options, device)
    if isinstance(maker, GANScenes):
        return GANImages(checkpoint, maker.loaded.model, maker.truncation, maker.loaded.framing)
    if maker.classes == 0:
        maker.check_options([-1], options)
    return PriorImages(maker)
