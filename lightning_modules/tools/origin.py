"""`wild3d origin`: what made a file."""

from lightning_modules.inference.provenance import read_provenance


def origin(files: list[str]) -> None:
    """Print which command, checkpoint, seeds and revision made each file.

    Args:
        files: what the other verbs wrote: .png, .gif, .mp4, .glb, .ply, .obj or .npz, or
            the .ckpt of `wild3d invert`.
    """
    for path in files:
        found = read_provenance(path)
        print(path)
        if found is None:
            print("  does not say what made it")
            continue
        print(f"  command     {found.command}")
        print(f"  checkpoint  {found.checkpoint}")
        print(f"  sha256      {found.checkpoint_sha256}")
        print(f"  seeds       {', '.join(map(str, found.seeds)) or 'none'}")
        print(f"  revision    {found.git or 'unknown'}")
