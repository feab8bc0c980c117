"""What the documents say exists: commands with their options, files that links name, Python that compiles."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from raydgp.cli import group

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
GENERATED = {"settings.md", "strategies.md"}  # and what is below reference/


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page.read_text(), re.DOTALL)


def commands() -> Iterator[tuple[str, list[str]]]:
    """Every call of raydgp in a shell block or in code within a sentence, with the page it is on."""
    for page in PAGES:
        lines = [line for block in blocks(page, "sh") for line in block.replace("\\\n", " ").splitlines()]
        lines += re.findall(r"`(raydgp [a-z][^`]*)`", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL))
        for line in lines:
            words = shlex.split(line, comments=True)
            for start, word in enumerate(words):
                if Path(word).name == "raydgp" and words[start + 1 :]:
                    yield f"{page.relative_to(ROOT)}: {line}", words[start + 1 :]


@pytest.mark.parametrize("words", [pytest.param(words, id=name) for name, words in commands()])
def test_commands_have_the_options_that_are_named(words: list[str]) -> None:
    command: click.Command = group
    while isinstance(command, click.Group) and words and words[0] in command.commands:
        command, words = command.commands[words[0]], words[1:]
    known = {option for param in command.params for option in param.opts + param.secondary_opts} | {"--help", "-h"}
    assert command is not group or words[0].startswith("-") or words[0].isupper(), f"no command {words[0]!r}"
    assert {word for word in words if re.fullmatch(r"--[a-z-]+", word)} <= known


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_name_files_that_exist(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text()):
        if "://" not in target and Path(target).name not in GENERATED and "reference/" not in target:
            assert (page.parent / target).exists(), f"{target} is linked, and there is no such file"


def test_what_is_made_of_the_code_is_not_kept_beside_it() -> None:
    """It would be old with the next change; run by hand, docs/generate.py writes into docs/."""
    assert not [name for name in [*GENERATED, "reference"] if (ROOT / "docs" / name).exists()]
    marks = re.findall(r"<!-- (\w+) -->", (ROOT / "docs" / "record-format.md").read_text())
    assert marks == ["example", "fields", "statuses", "manifest", "columns"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_python_in_the_documents_compiles(page: Path) -> None:
    for code in blocks(page, "python"):
        compile(code, str(page), "exec")


def test_facts_that_comments_cite_are_in_the_documents() -> None:
    heads = set(re.findall(r"^## (.+)$", (ROOT / "docs" / "facts.md").read_text(), re.MULTILINE))
    for path in sorted((ROOT / "raydgp").rglob("*.py")):
        text = re.sub(r"\n[ #]*", " ", path.read_text())
        assert "facts/" not in text, f"{path}: cites facts that are not in the repository"
        for place in re.findall(r"docs/facts\.md(.{0,40})", text):
            assert any(place.startswith(f", {head}") for head in heads), f"{path}: docs/facts.md{place}"


def test_every_fault_of_the_list_is_injected_by_a_test() -> None:
    text = (ROOT / "docs" / "faults.md").read_text()
    assert [int(number) for number in re.findall(r"^\| (\d+) \|", text, re.MULTILINE)] == list(range(1, 29))
    for file, name in re.findall(r"`([\w/]+\.py)(?:::(\w+))?`", text):
        assert f"def {name}(" in (ROOT / file).read_text() if name else (ROOT / file).exists(), f"{file}: no {name}"


@pytest.mark.parametrize("recipe", sorted((ROOT / "docs" / "recipes").glob("*.py")), ids=lambda path: path.stem)
def test_every_recipe_is_shown_on_a_page(recipe: Path) -> None:
    page = recipe.with_suffix(".md")
    assert f'--8<-- "docs/recipes/{recipe.name}"\n' in page.read_text()
    assert f"recipes/{page.name}\n" in (ROOT / "mkdocs.yml").read_text()


def test_the_layer_example_of_the_guide_runs() -> None:
    (code,) = [code for code in blocks(ROOT / "docs" / "guides" / "researcher.md", "python") if "strategy.ask" in code]
    found: dict[str, object] = {}
    exec(code, found)
    assert len(found["batch"]) == 8  # type: ignore[arg-type]


def test_the_readme_is_short_and_says_once_that_no_gpu_was_used() -> None:
    text = (ROOT / "README.md").read_text()
    assert len(text.splitlines()) <= 150
    assert " ".join(text.split()).count("has not run on a GPU yet") == 1


def test_the_guide_for_contributors_names_every_room() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text()
    rooms = {
        path.stem for path in (ROOT / "raydgp").iterdir() if not path.name.startswith("_") and path.suffix != ".typed"
    }
    assert {room for room in rooms if f"`{room}`" not in text} == set()


def test_all_shares_the_packages_version() -> None:
    from raydgp import __version__

    assert f"## [{__version__}]" in (ROOT / "CHANGELOG.md").read_text()
    assert f"version: {__version__}\n" in (ROOT / "CITATION.cff").read_text()
