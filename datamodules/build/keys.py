"""Names of files as text: keys of the shards, and what manifests, records and messages say."""

from __future__ import annotations

import hashlib
import re

from datamodules.build.writer import MAX_KEY_LENGTH


def legible(name: str) -> str:
    """A file's name as text; a byte that is no UTF-8 becomes ``%XX``, as in addresses of the web.

    ``urllib.parse.unquote_to_bytes`` gives the name back: a ``%`` that would read as an escape
    becomes ``%25``.

    >>> legible("caf\\udce9 100%"), legible("50%25")
    ('caf%E9 100%', '50%2525')
    """
    marked = re.sub("%(?=[0-9A-Fa-f]{2})", "%25", name)
    return re.sub("[\udc80-\udcff]", lambda byte: f"%{ord(byte[0]) - 0xDC00:02X}", marked)


def make_key(folder: str, stem: str) -> str:
    """Key of an image: class and file name, unless the name begins with the class already.

    ``cat/cat7``, ``cat/catBlack`` and ``cat/cat_7`` do, ``cat/catalog`` and ``1/10`` do not.
    """
    folder, stem = legible(folder), legible(stem)
    more = r"\d" if folder[-1:].isdigit() else r"[^\W\d_A-Z]"
    begun = re.match(f"{re.escape(folder)}(?!{more})", stem) is not None
    name = stem if begun or not folder else f"{folder}_{stem}"
    key = name.replace("/", "_").replace(".", "-")
    if len(key.encode()) <= MAX_KEY_LENGTH:
        return key
    digest = hashlib.blake2b(key.encode(), digest_size=8).hexdigest()
    kept = key.encode()[: MAX_KEY_LENGTH - len(digest) - 1].decode(errors="ignore")
    return f"{kept}-{digest}"


def key_hash(salt: str, key: str) -> int:
    """A number below 2^64 that follows from a key, another one for each salt."""
    return int.from_bytes(hashlib.blake2b(f"{salt}/{key}".encode(), digest_size=8).digest())
