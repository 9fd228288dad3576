"""`wild3d origin`: what made a file."""

from datamodules.errors import DataError, Failures
from lightning_modules.inference.provenance import read_provenance


def origin(files: list[str]) -> None:
    """Print which command, checkpoint, seeds and revision made each file.

    Args:
        files: what the other verbs wrote: .png, .gif, .mp4, .glb, .ply, .obj or .npz, or
            the .ckpt of `wild3d invert`.

    Raises:
        DataError: files are not there or can't be read, each with its reason; the others are told.
    """
    if not files:
        raise DataError("--files is empty: name at least one file.")
    failures = Failures(len(files))
    for path in files:
        with failures.kept():
            _print_origin(path)
    failures.tell()


def _print_origin(path: str) -> None:
    try:
        found = read_provenance(path)
    except FileNotFoundError as error:
        raise DataError(str(error)) from error
    print(path)
    if found is None:
        print("  does not say what made it")
        return
    print(f"  command     {found.command}")
    print(f"  checkpoint  {found.checkpoint}")
    print(f"  sha256      {found.checkpoint_sha256}")
    print(f"  seeds       {', '.join(map(str, found.seeds)) or 'none'}")
    print(f"  revision    {found.git or 'unknown'}")
