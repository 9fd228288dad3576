import errno
import io
import tarfile

import numpy as np
import pytest
import webdataset
from tiny_samples import tiny_sample

from datamodules.build.encode import encode_camera, encode_depth, encode_mask, encode_tokens
from datamodules.build.writer import EncodedSample, Rejected, read_record, record_path, write_shard
from datamodules.errors import DataError


def test_webdataset_reads_what_is_written(tmp_path):
    write_shard(tmp_path, "train", 3, [tiny_sample(n, True) for n in (5, 6)])
    url = str(tmp_path / "train/rgb-000003.tar")
    samples = list(webdataset.WebDataset(url, shardshuffle=False).decode("rgb8"))
    assert [sample["__key__"] for sample in samples] == ["k005", "k006"]
    assert samples[1]["png"][0, 0].tolist() == [6, 6, 6]
    assert samples[1]["json"] == {"label": 2, "class": "c"}


def test_members_carry_no_trace_of_the_machine(tmp_path):
    write_shard(tmp_path, "train", 0, [tiny_sample(1, True)])
    for path in sorted(tmp_path.glob("train/*.tar")):
        with tarfile.open(path) as tar:
            for info in tar:
                fields = (info.mtime, info.uid, info.gid, info.uname, info.gname, info.mode)
                assert fields == (0, 0, 0, "", "", 0o644)


def test_info_and_record_tell_the_same(tmp_path):
    samples = [tiny_sample(1, False), Rejected("bad.jpg", "broken"), tiny_sample(2, False)]
    info = write_shard(tmp_path, "val", 0, samples)
    assert (info.name, info.samples, list(info.files)) == ("000000", 2, ["rgb"])
    record = read_record(record_path(tmp_path, "val", 0))
    assert record is not None
    assert (record.shard, record.rejected) == (info, (Rejected("bad.jpg", "broken"),))


def test_a_shard_of_rejected_sources_has_no_file(tmp_path):
    info = write_shard(tmp_path, "train", 0, [Rejected("bad.jpg", "broken")])
    assert (info.samples, list(tmp_path.glob("train/*"))) == (0, [])


def named(key: str) -> EncodedSample:
    return EncodedSample(key, b"x", "jpg", {})


@pytest.mark.parametrize(
    ("samples", "sentence"),
    [
        ([named("a.b")], "key 'a.b' is not usable"),
        ([named("a/b")], "key 'a/b' is not usable"),
        ([named("")], "key '' is not usable"),
        ([named("é" * 41)], "1 to 80 characters"),
        ([named("a"), named("a")], "key 'a' occurs twice"),
        ([EncodedSample("a", b"x", "gif", {})], "image type 'gif'"),
        ([tiny_sample(1, True), named("a")], "sample a has rgb, the samples before it rgb, depth"),
    ],
)
def test_bad_samples_leave_nothing_behind(tmp_path, samples, sentence):
    with pytest.raises(DataError, match=sentence):
        write_shard(tmp_path, "train", 0, samples)
    assert list(tmp_path.glob("train/*")) == []
    assert read_record(record_path(tmp_path, "train", 0)) is None


def test_a_full_disk_is_one_sentence_and_no_half_shard(tmp_path, monkeypatch):
    def full(tar, info, content, really=tarfile.TarFile.addfile):
        if info.name == "k002.depth.png":
            raise OSError(errno.ENOSPC, "No space left on device")
        return really(tar, info, content)

    monkeypatch.setattr(tarfile.TarFile, "addfile", full)
    with pytest.raises(DataError, match=r"^the disk is full while writing to .*train: free some"):
        write_shard(tmp_path, "train", 0, [tiny_sample(n, True) for n in range(4)])
    assert list(tmp_path.glob("train/*")) == []


def test_encoders_refuse_what_the_format_cannot_hold():
    with pytest.raises(ValueError, match="uint16"):
        encode_depth(np.zeros((2, 2), np.float32))
    with pytest.raises(ValueError, match=r"mask codes must be 0, 1, 2 or 255, got \[7\]"):
        encode_mask(np.full((2, 2), 7, np.uint8))
    with pytest.raises(ValueError, match=r"mask must be \(H, W\) uint8, got \(2, 2\) int64"):
        encode_mask(np.zeros((2, 2), np.int64))
    with pytest.raises(ValueError, match=r"camera must be \(4, 4\) and \(3, 3\), got \(3, 4\)"):
        encode_camera(np.zeros((3, 4)), np.eye(3))
    with pytest.raises(ValueError, match=r"tokens must be \(V, T\) from 0 to 7, got \(1, 2\)"):
        encode_tokens(np.array([[3, 8]]), 8)


@pytest.mark.parametrize(("codes", "type_"), [(65536, np.uint16), (65537, np.uint32)])
def test_tokens_take_the_smallest_type_that_holds_all_codes(codes, type_):
    views = np.array([[0, codes - 1], [1, 2]])
    stored = np.load(io.BytesIO(encode_tokens(views, codes)))
    assert stored.dtype == type_
    assert (stored == views).all()
