"""Names of files become text that gives them back, and keys that stay apart."""

import os
from itertools import product
from urllib.parse import unquote_to_bytes

from datamodules.build.keys import legible, make_key


def test_names_become_text_that_gives_them_back():
    parts = (b"%", b"%2", b"%25", b"%E9", b"\xe9", b"caf\xe9", "é".encode(), b"9", b"/")
    names = {b"".join(name) for name in product(parts, repeat=3)}
    texts = {legible(os.fsdecode(name)).encode() for name in names}
    assert len(texts) == len(names)
    assert {unquote_to_bytes(text) for text in texts} == names


def test_usual_names_stay_as_they_are():
    assert legible("100% größe.jpg") == "100% größe.jpg"


def test_keys_are_text():
    assert make_key("caf\udce9", "b\udcff.1") == "caf%E9_b%FF-1"
    assert make_key("caf\udce9", "x" * 200).isascii()
    assert len(make_key("\udce9", "\udce9" * 200)) == 80
