"""Reading refuses in words; writing is whole or not at all."""

from __future__ import annotations

import errno
import io
import os
import stat
import sys
from pathlib import Path

import pytest

from ds3opt.errors import UsageError
from ds3opt.io.files import MAX_BYTES, STDIN_NAME, read_text, write_atomic


def refused(path: str | Path, stdin: io.BytesIO | None = None) -> tuple[str, str]:
    with pytest.raises(UsageError) as caught:
        read_text(path, stdin)
    (problem,) = caught.value.problems
    return problem.message, problem.hint


def test_reads_a_file(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_bytes(b"\xef\xbb\xbfname: \xc3\xa9\r\n")
    assert read_text(path) == ("name: é\r\n", str(path))


def test_reads_standard_input() -> None:
    assert read_text("-", io.BytesIO("é".encode())) == ("é", STDIN_NAME)
    assert read_text("-", io.StringIO("é")) == ("é", STDIN_NAME)
    assert "not UTF-8" in refused("-", io.BytesIO(b"\xff"))[0]


def test_missing_file_suggests_a_neighbour(tmp_path: Path) -> None:
    (tmp_path / "coding.yaml").touch()
    message, hint = refused(tmp_path / "codng.yaml")
    assert message == f"there is no file {tmp_path / 'codng.yaml'}"
    assert hint == f"did you mean {tmp_path / 'coding.yaml'}?"
    assert "no folder" in refused(tmp_path / "absent" / "s.yaml")[1]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"a" * (MAX_BYTES + 1), "larger than 4 MB"),
        (b"\x89PNG\0", "NUL byte at offset 4"),
        (b"ok\n\xff", "byte 0xFF at offset 3 (line 2)"),
        (b"\xfe\xff\0a", "is UTF-16"),
    ],
)
def test_unusable_content(tmp_path: Path, data: bytes, words: str) -> None:
    path = tmp_path / "s.yaml"
    path.write_bytes(data)
    assert words in refused(path)[0]


def test_other_refusals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "is a folder" in refused(tmp_path)[0]
    assert "cannot read" in refused("a\0b")[0]
    assert "cannot read" in refused("x" * 5000)[0]

    def denied(*_: object, **__: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr("builtins.open", denied)
    assert "no permission" in refused(tmp_path / "s.yaml")[0]


def test_writes_and_refuses_to_overwrite(tmp_path: Path) -> None:
    path = tmp_path / "out.json"
    write_atomic(path, "one\né")
    assert path.read_bytes() == "one\né".encode()
    with pytest.raises(UsageError) as caught:
        write_atomic(path, "two")
    assert "--force" in caught.value.problems[0].hint
    assert path.read_text(encoding="utf-8") == "one\né"
    write_atomic(path, "two", force=True)
    assert path.read_text(encoding="utf-8") == "two"
    assert os.listdir(tmp_path) == ["out.json"]


@pytest.mark.skipif(sys.platform == "win32", reason="modes are a POSIX matter")
def test_modes_and_links(tmp_path: Path) -> None:
    path, link, fresh = tmp_path / "a", tmp_path / "link", tmp_path / "fresh"
    path.write_text("x", encoding="utf-8")
    path.chmod(0o640)
    link.symlink_to(path)
    write_atomic(link, "y", force=True)
    assert link.is_symlink()
    assert path.read_text(encoding="utf-8") == "y"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    before = os.umask(0o022)
    try:
        write_atomic(fresh, "z")
    finally:
        os.umask(before)
    assert stat.S_IMODE(fresh.stat().st_mode) == 0o644


@pytest.mark.parametrize(
    ("failure", "raised"),
    [
        (KeyboardInterrupt(), KeyboardInterrupt),
        (OSError(errno.ENOSPC, "No space left on device"), UsageError),
        (OSError(errno.EIO, "Input/output error"), UsageError),
    ],
)
@pytest.mark.parametrize("force", [True, False])
def test_nothing_is_left_behind(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    failure: BaseException,
    raised: type[BaseException],
    force: bool,
) -> None:
    path = tmp_path / "out.json"
    if force:
        path.write_text("old", encoding="utf-8")

    def fails(_: int) -> None:
        raise failure

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(raised) as caught:
        write_atomic(path, "new", force=force)
    if isinstance(failure, OSError) and failure.errno == errno.ENOSPC:
        assert "disk is full" in str(caught.value)
    assert os.listdir(tmp_path) == (["out.json"] if force else [])
    assert not force or path.read_text(encoding="utf-8") == "old"


def test_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", unsupported)
    write_atomic(tmp_path / "out.json", "x")
    assert os.listdir(tmp_path) == ["out.json"]


def test_another_process_was_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "out.json"
    monkeypatch.setattr(os, "fsync", lambda _: path.write_text("theirs", encoding="utf-8"))
    with pytest.raises(UsageError, match="exists"):
        write_atomic(path, "ours")
    assert path.read_text(encoding="utf-8") == "theirs"
    assert os.listdir(tmp_path) == ["out.json"]


@pytest.mark.parametrize(
    ("name", "words"),
    [("absent/out.json", "no folder"), (".", "is a folder"), ("a\0b", "cannot write")],
)
def test_unwritable(tmp_path: Path, name: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        write_atomic(f"{tmp_path}/{name}", "x")


@pytest.mark.skipif(sys.platform == "win32", reason="no such device")
def test_devices_are_written_to() -> None:
    write_atomic("/dev/null", "x")


def test_a_closed_standard_input_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", None)
    with pytest.raises(UsageError, match="closed"):
        read_text("-")
