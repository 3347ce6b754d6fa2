"""``[budget.NAME]``: what it says, where it may stand, and what it may not say."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from compile.audit.budget import Amount, Limit
from compile.budgets import read
from compile.config import discover, load
from compile.errors import UserError

WHOLE = """
[budget.mobile]
footprint = "3.4 MB"
file = "1 MB"
download = "900 kB"
growth = "2 %"
warn = "95 %"
message = "ask the runtime team"
files = ["build/*/student.tflite", "models/*.onnx"]
baseline = "git:origin/main"
dtype = "int8"
[budget.mobile.target.tflite]
file = "300 kB"
[budget.mobile.target."coreml:ios18"]
growth = "1 kB"
[budget.mobile.section]
metadata = "2 kB"
graph = "5 %"
[budget.desktop]
measured = "20 MB"
files = "build/desktop"
growth = { file = "2 %", footprint = "20 kB" }
"""


def write(folder: Path, text: str, name: str = "phiz.toml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


def limit(subject: str, most: Amount, origin: str, **more: bool) -> Limit:
    return Limit(subject, most, origin=origin, **more)


@pytest.mark.parametrize(("name", "prefix"), [("phiz.toml", ""), ("pyproject.toml", "tool.phiz.")])
def test_whole(tmp_path: Path, name: str, prefix: str) -> None:
    mobile, desktop = load(write(tmp_path, WHOLE.replace("[budget", f"[{prefix}budget"), name)).budgets
    table = f"{name}, [{prefix}budget.mobile"
    assert mobile.limits == (
        limit("file", Amount(1_000_000), f"{table}] file"),
        limit("download", Amount(900_000), f"{table}] download"),
        limit("footprint", Amount(3_400_000), f"{table}] footprint"),
        limit("file", Amount(share=0.02), f"{table}] growth", growth=True),
        limit("metadata", Amount(2_000), f"{table}.section] metadata", section=True),
        limit("graph", Amount(share=0.05), f"{table}.section] graph", section=True),
    )
    assert mobile.targets == {
        "tflite": (limit("file", Amount(300_000), f"{table}.target.tflite] file"),),
        "coreml:ios18": (limit("file", Amount(1_000), f"{table}.target.coreml:ios18] growth", growth=True),),
    }
    assert (mobile.name, mobile.warn, mobile.message) == ("mobile", 0.95, "ask the runtime team")
    assert (mobile.baseline, mobile.dtype, mobile.origin) == ("git:origin/main", "int8", f"{table}]")
    assert mobile.files == ("build/*/student.tflite", "models/*.onnx")
    table = f"{name}, [{prefix}budget.desktop"
    assert desktop.files == ("build/desktop",)
    assert desktop.limits == (
        limit("measured", Amount(20_000_000), f"{table}] measured"),
        limit("file", Amount(share=0.02), f"{table}.growth] file", growth=True),
        limit("footprint", Amount(20_000), f"{table}.growth] footprint", growth=True),
    )


def test_all_of_phiz_may_stand_in_a_pyproject(tmp_path: Path) -> None:
    text = "[project]\nname = 'x'\n[tool.phiz.model]\npath = 's'\n[tool.phiz.build.a]\ntargets = ['onnx']"
    config = load(write(tmp_path, text, "pyproject.toml"))
    assert (config.model, [build.name for build in config.builds], config.budgets) == ("s", ["a"], ())


def test_where_a_configuration_is_found(tmp_path: Path) -> None:
    assert discover(tmp_path) is None
    write(tmp_path, "[project]\nname = 'x'", "pyproject.toml")
    assert discover(tmp_path) is None
    project = write(tmp_path, "[tool.phiz]", "pyproject.toml")
    assert discover(tmp_path) == project
    own = write(tmp_path, "")
    assert discover(tmp_path) == own


def test_a_configuration_holds_beneath_its_folder_up_to_the_top_of_the_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "")
    (tmp_path / "repository" / "models" / "tiny").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "repository" / "models" / "tiny")
    assert discover(Path()) is None  # no repository: what lies above is somebody else's
    (tmp_path / "repository" / ".git").mkdir()
    assert discover(Path()) is None
    write(tmp_path / "repository", "")
    assert discover(Path()) == Path("../../phiz.toml")
    own = write(tmp_path / "repository" / "models" / "tiny", "")
    assert discover(Path()) == Path(own.name)


def test_a_pyproject_without_phiz_is_no_configuration(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"has no table \[tool.phiz\]"):
        load(write(tmp_path, "[project]\nname = 'x'", "pyproject.toml"))


@pytest.mark.parametrize(
    ("text", "where", "what"),
    [
        ("[budget]\nfile = '1 MB'", "[budget.file]", "is not a table"),
        ("budget = 3", "[budget]", "holds tables: [budget.NAME]"),
        ("[budget.a]", "[budget.a]", "it limits nothing"),
        ("[budget.a]\nwarn = '95 %'\nfiles = ['x.onnx']", "[budget.a]", "it limits nothing"),
        (
            "[budget.a]\nfootprnt = '1 MB'",
            "[budget.a]",
            "unknown key 'footprnt'; did you mean 'footprint'? known are: ",
        ),
        ("[budget.a]\nfile = 1000", "[budget.a]", "'file' is int 1000; write text in quotes"),
        ("[budget.a]\nfile = '1'", "[budget.a] file", "has no unit"),
        ("[budget.a]\nfile = '-1 MB'", "[budget.a] file", "is not a size"),
        ("[budget.a]\nfile = '1.5 B'", "[budget.a] file", "not a whole number of bytes"),
        ("[budget.a]\nfile = '50 %'", "[budget.a] file", "is a share, of nothing; write a size such as 3.4 MB"),
        ("[budget.a]\ngrowth = '2'", "[budget.a] growth", "has no unit"),
        ("[budget.a]\ngrowth = '-2 %'", "[budget.a] growth", "is not a share"),
        ("[budget.a]\ngrowth = 'nan %'", "[budget.a] growth", "is not a share"),
        ("[budget.a]\ngrowth = 2", "[budget.a]", "'growth' is int 2; write text in quotes or a table"),
        ("[budget.a.growth]\nfiel = '2 %'", "[budget.a.growth]", "unknown key 'fiel'; did you mean 'file'?"),
        ("[budget.a.growth]\nfile = 'much'", "[budget.a.growth] file", "'much' is not a size"),
        ("[budget.a]\nfile = '1 MB'\nwarn = '101 %'", "[budget.a] warn", "'101 %' is no share of a limit"),
        ("[budget.a]\nfile = '1 MB'\nwarn = '0 %'", "[budget.a] warn", "'0 %' is no share of a limit"),
        ("[budget.a]\nfile = '1 MB'\nwarn = '9 kB'", "[budget.a] warn", "'9 kB' is not a share"),
        ("[budget.a]\nfile = '1 MB'\nfiles = [3]", "[budget.a] files", "is not a list of strings"),
        ("[budget.a]\nfile = '1 MB'\ndtype = 'it8'", "[budget.a] dtype", "unknown dtype 'it8'; did you mean 'int8'?"),
        ("[budget.a.section]\nmeta = '1 kB'", "[budget.a.section]", "unknown key 'meta'; did you mean 'metadata'?"),
        ("[budget.a.section]\ngraph = '1 kb'", "[budget.a.section] graph", "unknown unit 'kb'"),
        ("[budget.a]\nsection = '1 kB'", "[budget.a]", "'section' is str '1 kB'; write a table"),
        ("[budget.a.target.tflit]\nfile = '1 kB'", "[budget.a]", "unknown target 'tflit'; did you mean 'tflite'?"),
        ("[budget.a.target]\ntflite = 3", "[budget.a.target.tflite]", "is not a table"),
        ("[budget.a.target.tflite]\nwarn = '95 %'", "[budget.a.target.tflite]", "unknown key 'warn'"),
        ("[budget.a.target.tflite]\nfile = '1'", "[budget.a.target.tflite] file", "has no unit"),
    ],
)
@pytest.mark.parametrize("name", ["phiz.toml", "pyproject.toml"])
def test_an_error_names_file_table_and_key(tmp_path: Path, name: str, text: str, where: str, what: str) -> None:
    if name == "pyproject.toml":
        text = text.replace("[budget", "[tool.phiz.budget").replace("budget = 3", "tool.phiz.budget = 3")
        where, what = where.replace("[budget", "[tool.phiz.budget"), what.replace("[budget", "[tool.phiz.budget")
    path = write(tmp_path, text, name)
    with pytest.raises(UserError) as caught:
        load(path)
    message = str(caught.value)
    assert message.startswith(f"{path}, {where}: ")
    assert what in message
    assert "\n" not in message


def test_a_report_holds_no_path_of_this_machine(tmp_path: Path) -> None:
    (budget,) = load(write(tmp_path, "[budget.a]\nfile = '1 MB'")).budgets
    assert str(tmp_path) not in repr(budget)


KEYS = ("a", "file", "growth", "section", "graph", "target", "tflite", "files", "warn", "dtype", "baseline", "message")
VALUES = ("1 MB", "2 %", "95 %", "int8", "", "x/*.onnx", "1e9 %", "999999999999999999 GB", "\0")


@given(
    st.recursive(
        st.sampled_from(VALUES) | st.integers() | st.floats() | st.booleans() | st.dates() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=6),
        max_leaves=15,
    )
)
def test_any_table_is_budgets_or_bad_input(data: object) -> None:
    told = ""
    try:
        assert all(not budget.empty for budget in read({"b": data}, "phiz.toml"))
    except UserError as error:
        told = str(error)
    assert not told or told.startswith("phiz.toml, [budget")
