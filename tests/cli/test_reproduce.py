"""``ds3opt reproduce``: files, refusals and interruption."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from ds3opt.cli.main import main
from ds3opt.reproduce.registry import ITEMS, Item

pytest.importorskip("matplotlib")


def test_every_figure_is_listed(run) -> None:
    done = run("reproduce", "--list", "-f", "json")
    assert done.returncode == 0
    assert [f["name"] for f in json.loads(done.stdout)["figures"]] == [i.name for i in ITEMS]
    assert "DS3 Fig. 16" in run("reproduce", "--list").stdout


def test_a_figure_is_a_picture_numbers_and_a_page(run, tmp_path: Path) -> None:
    done = run("reproduce", "ds3_table2", "ds3_fig3", "-o", "out/deep", "-f", "json")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)["figures"]
    assert [one["name"] for one in told] == ["ds3_fig3", "ds3_table2"]
    for one in told:
        for file in one["files"]:
            assert (tmp_path / file).stat().st_size > 100
        assert {finding["verdict"] for finding in one["findings"]} <= {
            "reproduced",
            "partly",
            "not reproducible from the text",
            "the paper is wrong",
        }
    folder = tmp_path / "out" / "deep"
    assert (folder / "ds3_fig3.svg").read_text().startswith("<?xml")
    assert (folder / "ds3_table2.csv").read_text().startswith("model,parameters")
    assert "![DS3 Fig. 3](ds3_fig3.svg)" in (folder / "ds3_fig3.md").read_text()
    assert len(list(folder.iterdir())) == 6


def test_two_runs_have_the_same_bytes(run, tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert run("reproduce", "wu_table3", "-o", name, "-q").returncode == 0
    for path in (tmp_path / "one").iterdir():
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


def test_bitmaps_on_request(run, tmp_path: Path) -> None:
    assert run("reproduce", "ds3_fig11", "-o", ".", "--picture", "png").returncode == 0
    assert (tmp_path / "ds3_fig11.png").read_bytes().startswith(b"\x89PNG")
    assert run("reproduce", "ds3_fig11", "-o", ".", "--picture", "pdf").returncode == 2


def test_existing_files_are_kept_unless_forced(run, tmp_path: Path) -> None:
    kept = tmp_path / "ds3_table2.csv"
    kept.write_text("mine")
    done = run("reproduce", "ds3_table2", "-o", ".")
    assert done.returncode == 2
    assert "ds3_table2.csv exists and is left as it is" in done.stderr
    assert "--force" in done.stderr
    assert kept.read_text() == "mine"
    assert not (tmp_path / "ds3_table2.svg").exists()
    assert run("reproduce", "ds3_table2", "-o", ".", "--force").returncode == 0
    assert kept.read_text() != "mine"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "which figures?"),
        (("ds3_fig3",), "where to?"),
        (("ds3_fig33", "-o", "out"), "did you mean ds3_fig3?"),
        (("ds3_fig3", "-o", "taken"), "is a file"),
        (("ds3_fig3", "-o", "taken/below"), "cannot make the folder"),
    ],
)
def test_refusals_say_what_is_wrong(run, tmp_path: Path, arguments, words: str) -> None:
    (tmp_path / "taken").write_text("")
    done = run("reproduce", *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_without_matplotlib_nothing_is_computed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert main(["reproduce", "ds3_fig8", "-o", str(tmp_path / "out")]) == 2
    told = capsys.readouterr()
    assert "pip install 'ds3opt[plot]'" in told.err
    assert list((tmp_path / "out").iterdir()) == []
    assert main(["reproduce", "--list"]) == 0


def test_an_interruption_leaves_whole_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = Item.run

    def stop_at_second(self: Item, progress=None):
        if self.name == "ds3_table2":
            raise KeyboardInterrupt
        return real(self, progress)

    monkeypatch.setattr(Item, "run", stop_at_second)
    assert main(["reproduce", "ds3_fig11", "ds3_table2", "-o", str(tmp_path)]) == 130
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"ds3_fig11.csv", "ds3_fig11.svg", "ds3_fig11.md"}


@pytest.mark.slow
def test_everything_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "all"
    assert main(["reproduce", "all", "-o", str(folder), "-f", "csv"]) == 0
    assert capsys.readouterr().out.startswith("figure,claim,result,verdict")
    assert len(list(folder.iterdir())) == 3 * len(ITEMS) + 1
    text = (folder / "reproduction.md").read_text()
    for item in ITEMS:
        assert f"![{item.source}]({item.name}.svg)" in text
