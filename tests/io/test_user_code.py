"""Functions from users' files, and their errors at their lines."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from ds3opt.errors import Ds3optError, UsageError
from ds3opt.io.user_code import guarded, load_function


def write(folder: Path, text: str, name: str = "mine.py") -> str:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return str(path)


def refused(text: str):
    with pytest.raises(Ds3optError) as error:
        load_function(text)
    (problem,) = error.value.problems
    return problem


def test_a_function_is_found_by_name_and_by_default(tmp_path: Path) -> None:
    path = write(tmp_path, "def build():\n    return 1\ndef other(task):\n    return 2\n")
    assert load_function(path).function() == 1
    assert load_function(f"{path}:build").parameters() == (0, 0)
    assert load_function(f"{path}:other").function(None) == 2
    assert load_function(f"{path}:other").parameters() == (1, 1)
    assert load_function(f"{path}:other").location.line == 3


def test_optional_and_variable_arguments_are_counted(tmp_path: Path) -> None:
    path = write(tmp_path, "def a(x, y=1): ...\ndef b(*x): ...\ndef c(*, k=1): ...\n")
    assert load_function(f"{path}:a").parameters() == (1, 2)
    assert load_function(f"{path}:b").parameters() == (0, 99)
    assert load_function(f"{path}:c").parameters() == (0, 0)


def test_a_file_may_import_its_neighbours_and_define_dataclasses(tmp_path: Path) -> None:
    write(tmp_path, "VALUE = 7\n", "neighbour_of_mine.py")
    path = write(
        tmp_path,
        "from __future__ import annotations\n"
        "from dataclasses import dataclass\n"
        "import neighbour_of_mine\n"
        "@dataclass\nclass A:\n    x: int = neighbour_of_mine.VALUE\n"
        "def build():\n    return A().x\n",
    )
    before = list(sys.path)
    assert load_function(path).function() == 7
    assert sys.path == before
    assert not (tmp_path / "__pycache__").exists()
    sys.modules.pop("neighbour_of_mine")


def test_a_missing_name_offers_a_near_one(tmp_path: Path) -> None:
    path = write(tmp_path, "def build():\n    pass\nx = 3\n")
    assert refused(f"{path}:biuld").hint == "did you mean build?"
    assert "has no function 'x'" in refused(f"{path}:x").message
    assert refused(f"{write(tmp_path, '', 'empty.py')}").hint == "there is none"


def test_a_missing_file_offers_a_near_one(tmp_path: Path) -> None:
    write(tmp_path, "")
    problem = refused(str(tmp_path / "mime.py"))
    assert "there is no file" in problem.message
    assert "mine.py" in problem.hint


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("x = 1\ndef build(:\n", 2, "this is no Python"),
        ("x = 1\nimport nonsense_of_mine\n", 2, "ModuleNotFoundError: No module named"),
        ("def f():\n    return 1 / 0\n\nf()\n", 2, "ZeroDivisionError: division by zero"),
        ("import sys\nsys.exit(3)\n", 2, "the file ends the program"),
        ("raise ValueError\n", 1, "ValueError"),
    ],
)
def test_what_goes_wrong_is_placed_at_its_line(tmp_path: Path, text, line, said) -> None:
    path = write(tmp_path, text)
    problem = refused(path)
    assert said in problem.message
    assert problem.location is not None
    assert (problem.location.source, problem.location.line) == (path, line)
    assert problem.location.text == text.splitlines()[line - 1]


def test_text_that_is_no_python_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_bytes(b"\x00\x01")
    assert "NUL byte" in refused(str(path)).message


def test_errors_of_a_call_get_the_line_that_made_it(tmp_path: Path) -> None:
    path = write(
        tmp_path,
        "from ds3opt.simulate import Process\n"
        "def build():\n"
        "    return Process(skills=(), transition={}, outcome={}, evaluate=None)\n",
    )
    function = load_function(path).function
    with pytest.raises(UsageError) as error, guarded(path):
        function()
    problem = error.value.problems[0]
    assert problem.message == "a process needs skills"
    assert problem.location is not None
    assert problem.location.line == 3


def test_errors_without_the_file_are_ours(tmp_path: Path) -> None:
    path = write(tmp_path, "")
    with pytest.raises(ZeroDivisionError), guarded(path):
        _ = 1 // 0
    with pytest.raises(KeyboardInterrupt), guarded(path):
        raise KeyboardInterrupt


def test_what_a_file_prints_goes_to_standard_error(tmp_path: Path, capsys) -> None:
    load_function(write(tmp_path, "print('hello')\ndef build(): ...\n"))
    assert capsys.readouterr() == ("", "hello\n")
