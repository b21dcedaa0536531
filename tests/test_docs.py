"""Documents cannot lag: their code runs, their tables name what exists, and every public name has its place."""

from __future__ import annotations

import importlib
import inspect
import re
import types
from pathlib import Path

import pytest

import clusterjax
import clusterjax.plots  # public, though the door does not open it: it needs an extra

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BUILT = re.compile(r'^```python exec="true"', re.MULTILINE)
API_PAGES = sorted((ROOT / "docs/api").glob("*.md"))


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def python_blocks(page: Path) -> list[str]:
    return re.findall(r"^```python[^\n]*\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)


def public_names(module: types.ModuleType) -> set[str]:
    """Full names of what a user may call, as in `clusterjax.losses.nca_loss`."""
    names = set()
    for attribute in exported(module):
        thing = getattr(module, attribute)
        names |= public_names(thing) if inspect.ismodule(thing) else {f"{module.__name__}.{attribute}"}
    return names


def exported(module: types.ModuleType) -> list[str]:
    """`__all__`, or what the module itself defines for users: it shows them an example, or the fields of a result."""
    own = [n for n, thing in vars(module).items() if getattr(thing, "__module__", None) == module.__name__]
    told = [
        n for n in own if re.search(r"^(Examples?|Attributes):$", inspect.getdoc(vars(module)[n]) or "", re.MULTILINE)
    ]
    return list(getattr(module, "__all__", told))


def documented() -> dict[str, str]:
    """Full name of each member that an API page lists -> the page."""
    found = {}
    for page in API_PAGES:
        for module, members in re.findall(r"^::: (\S+)\n    options: \{members: \[(.*)\]\}$", page.read_text(), re.M):
            found |= {f"{module}.{member}": name(page) for member in members.split(", ")}
    return found


def resolve(full_name: str) -> object:
    module, _, attribute = full_name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


# What the strict build of the site runs, and stops at if it fails, need not be run here too.
NOT_BUILT = [page for page in PAGES if python_blocks(page) and not BUILT.search(page.read_text())]


@pytest.mark.parametrize("page", NOT_BUILT, ids=name)
def test_the_code_of_a_page_runs(page, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    namespace: dict = {"__name__": "docs"}
    for number, block in enumerate(python_blocks(page), 1):
        exec(compile(block, f"{name(page)}, block {number}", "exec"), namespace)


def test_every_public_name_is_on_an_api_page():
    shown = [resolve(full_name) for full_name in documented()]
    public = public_names(clusterjax) | public_names(clusterjax.plots)
    missing = [n for n in sorted(public) if not any(resolve(n) is thing for thing in shown)]
    assert not missing, f"add them to members: of a page under docs/api/: {missing}"


def test_api_pages_list_what_exists():
    gone = [f"{page}: {n}" for n, page in documented().items() if not inspect.getdoc(resolve(n))]
    assert not gone
    assert all(name(page) in documented().values() for page in API_PAGES)


def test_readme_says_which_function_is_in_which_file():
    rows = re.findall(r"^\|[^|]*\| `(\S+)` \| \[(\S+)\]\((\S+)\) \|$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert len(rows) > 5
    for function, shown, file in rows:
        source = importlib.import_module(resolve(f"clusterjax.{function}").__module__).__file__
        assert shown == file
        assert Path(source or "").resolve() == ROOT / file, function


def test_readme_and_contributing_name_extras_that_exist():
    text = (ROOT / "README.md").read_text() + (ROOT / "CONTRIBUTING.md").read_text()
    named = {extra for extras in re.findall(r'-e "\.\[(\S+)\]"', text) for extra in extras.split(",")}
    import tomllib

    assert named <= tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"].keys()
    assert {"experiments", "test"} <= named


def test_what_the_tables_of_other_libraries_call_ours_exists():
    ours = [row.split(" | ")[1] for row in (ROOT / "docs/coming_from.md").read_text().splitlines() if row[:3] == "| `"]
    calls = re.findall(r"\b(?:cj|losses|samplers|retrieval)(?:\.\w+)+", " ".join(ours))
    assert len(calls) > 40
    for call in calls:
        full_name = "clusterjax." + call.removeprefix("cj.")
        assert callable(resolve(full_name)), call
    options = re.findall(r"`((?:losses|samplers|retrieval|cj)\.[\w.]+)\(([^`]*)\)", " ".join(ours))
    for call, given in options:
        function = resolve("clusterjax." + call.removeprefix("cj."))
        assert callable(function)
        taken = inspect.signature(function).parameters
        assert set(re.findall(r"(\w+)=", given)) <= taken.keys(), call
