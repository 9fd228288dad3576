import subprocess
from pathlib import Path

import pytest

from lightning_modules.inference.provenance import git_revision


def git(folder: Path, *args: str) -> str:
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
    command = ["git", "-C", str(folder), *who, *args]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q")
    (tmp_path / "file").write_text("one")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-q", "-m", "first")
    return tmp_path


def test_revision_is_the_commit_marked_when_files_have_changed(repository: Path) -> None:
    commit = git(repository, "rev-parse", "HEAD")
    assert git_revision(repository) == commit
    (repository / "file").write_text("two")
    assert git_revision(repository) == commit + "-dirty"


def test_an_installation_inside_another_repository_has_no_revision(repository: Path) -> None:
    (repository / "folder").mkdir()
    assert git_revision(repository / "folder") is None


def test_revision_of_a_tagged_commit_is_still_the_commit(repository: Path) -> None:
    git(repository, "tag", "-a", "v1", "-m", "release")
    assert git_revision(repository) == git(repository, "rev-parse", "HEAD")


def test_outside_a_repository_there_is_no_revision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert git_revision(tmp_path) is None
    monkeypatch.setenv("PATH", "")  # no git at all
    assert git_revision(tmp_path) is None
