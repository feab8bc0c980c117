"""Pages made of the code when the documentation is built: settings, record format, API reference (mkdocs-gen-files)."""

from __future__ import annotations

import ast
import json
import re
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass
from inspect import cleandoc, getsource
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, get_args, get_origin

import mkdocs_gen_files
from pydantic import BaseModel

import raydgp
from raydgp import Conv2d, config_space, search, settings
from raydgp.records.frames import to_frame
from raydgp.records.journal import encode
from raydgp.records.manifest import RunManifest, TaskEntry
from raydgp.records.measurement import Measurement, Phases, Resources, Status
from raydgp.records.record import Context, Record
from raydgp.search.registry import named
from raydgp.targets import Target

PACKAGE = Path(raydgp.__file__).parent
_TYPES = {
    "str": "text",
    "int": "integer",
    "float": "number",
    "bool": "true or false",
    "Path": "path",
    "dict": "mapping",
}
_SIGNS = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}


def write(path: str, *parts: str) -> None:
    with mkdocs_gen_files.open(path, "w") as file:
        file.write("\n\n".join(parts) + "\n")


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    head = list(head)
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def kind(annotation: Any) -> str:
    """A type as a reader of YAML would say it."""
    if get_origin(annotation) is Literal:
        return " or ".join(f"`{value}`" for value in get_args(annotation))
    if get_origin(annotation) in (list, tuple):
        return f"list of {kind(get_args(annotation)[0])}"
    parts = [part for part in get_args(annotation) if part is not type(None)]
    if parts and get_origin(annotation) is not dict:
        return " or ".join(dict.fromkeys(map(kind, parts)))
    name = getattr(get_origin(annotation) or annotation, "__name__", str(annotation))
    return _TYPES.get(name, name)


def setting_rows(model: type[BaseModel], prefix: str = "") -> Iterator[list[str]]:
    """A row for each key; those of a section have its name and a dot before them."""
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from setting_rows(field.annotation, f"{prefix}{name}.")
            continue
        element = next(iter(get_args(field.annotation)), None)
        if isinstance(element, type) and issubclass(element, BaseModel):
            yield from setting_rows(element, f"{prefix}{name}[].")
            continue
        bounds = [
            f"{word} {getattr(m, sign)}" for m in field.metadata for sign, word in _SIGNS.items() if hasattr(m, sign)
        ]
        default = "" if field.is_required() else json.dumps(field.get_default(call_default_factory=True), default=str)
        said = (field.description or "") if not field.is_required() else f"{field.description or ''} (required)"
        shown = f"`{default}`" if default not in ("", "null") else ""
        yield [f"`{prefix}{name}`", ", ".join([kind(field.annotation), *bounds]), shown, said]


def settings_page() -> None:
    intro = (
        "A YAML file holds the settings of a command (`--config FILE`, or the name of a file that comes with the "
        "package, such as `quickstart`), and options on the command line go over it. A key of a section is nested: "
        "`measure: {repeat: 5}`. An unknown key is answered with the nearest known one."
    )
    tables = [
        f"## `raydgp {command}`\n\n" + table(("key", "type", "default", "meaning"), setting_rows(model))
        for command, model in (
            ("tune", settings.TuneSettings),
            ("compare", settings.CompareSettings),
            ("bundle make", settings.BundleSettings),
        )
    ]
    write("settings.md", "# Settings", intro, *tables)


def strategies_page() -> None:
    """Every strategy with what its docstring says first, and its options."""
    intro = (
        "The strategies by name, for `--strategy`, `search.create` and `RaydgpSearcher`. Options are given by "
        "`--options KEY=VALUE`, under `options:` in the YAML file, or by name in Python; their defaults are the values "
        "of the papers. `preset: small` suits budgets of about 64 measurements on two cores; other options go over it."
    )
    parts = []
    for name in search.names():
        strategy = named(name)
        model = strategy.options_model
        presets = [f"Preset `{preset}`: `{json.dumps(said)}`" for preset, said in model.presets.items() if said]
        options = table(("option", "type", "default", "meaning"), setting_rows(model)) if model.model_fields else ""
        parts += [
            f"## `{name}`",
            cleandoc(strategy.__doc__ or "").partition("\n\nArgs:")[0].replace("*", "\\*"),
            *presets,
            options,
        ]
    write("strategies.md", "# Strategies", intro, *filter(None, parts))


def attributes(cls: type) -> dict[str, str]:
    """What the `Attributes:` section of a docstring says of each field; `a, b: text` is said of both."""
    section = textwrap.dedent((cls.__doc__ or "").partition("Attributes:\n")[2])
    said = re.findall(r"^([\w, ]+): (.*(?:\n +.*)*)", section, re.MULTILINE)
    return {name: " ".join(text.split()) for names, text in said for name in names.split(", ")}


def field_table(cls: type[Any]) -> str:
    said = attributes(cls)
    names = (
        [field.name for field in fields(cls)]
        if is_dataclass(cls)
        else list(getattr(cls, "__struct_fields__", ()) or cls.model_fields)
    )
    return table(("field", "meaning"), [(f"`{name}`", said[name]) for name in names])


def example() -> Record:
    """A layer's default configuration as if it had been measured."""
    target = Target.of({"kind": "llvm", "mcpu": "znver4", "num-cores": 2})
    space = config_space(Conv2d(n=1, ci=64, h=56, w=56, co=64, kh=3, kw=3, padding=(1, 1)), target)
    context = Context(
        task="rb1-conv1",
        workload=space.workload.to_dict(),
        target=target,
        space_hash=space.hash,
        strategy="autotvm",
        seed=0,
        run="quickstart",
    )
    measurement = Measurement(
        index=space.default,
        status=Status.OK,
        times_s=(5.5e-4, 5.4e-4, 5.6e-4),
        phases=Phases(build_s=0.11, queue_s=0.01, run_s=0.08),
        device={"name": "AMD EPYC", "kind": "llvm", "cores": 2, "threads": 2},
        versions={"raydgp": raydgp.__version__, "tvm": "0.27.0"},
        time_unix_s=1.8e9,
    )
    return Record(context=context, trial=0, knobs=space.decode(space.default), measurement=measurement)


def record_page() -> None:
    line = json.dumps(json.loads(encode(example())))
    parts = {"": Record, "context": Context, "measurement": Measurement, "phases": Phases, "resources": Resources}
    said = dict(re.findall(r'^    \w+ = "(\w+)"(?:  # (.*))?$', getsource(Status), re.MULTILINE))
    made = {
        "example": "```json\n" + "\n".join(textwrap.wrap(line, 110, break_on_hyphens=False)) + "\n```",
        "fields": "\n\n".join(
            f"### {f'`{name}`' if name else 'The record'}\n\n{field_table(cls)}" for name, cls in parts.items()
        ),
        "statuses": table(("status", "meaning"), [(f"`{status}`", said[str(status)]) for status in Status]),
        "manifest": f"{field_table(RunManifest)}\n\nA task of `tasks`:\n\n{field_table(TaskEntry)}",
        "columns": ", ".join(f"`{name}`" for name in to_frame([example()]).columns) + ".",
    }
    with mkdocs_gen_files.open("record-format.md", "r") as file:
        page = file.read()
    for mark, text in made.items():
        page = page.replace(f"<!-- {mark} -->", text)
    write("record-format.md", page)


def modules() -> dict[str, list[str]]:
    """The modules with something public, by room."""
    rooms: dict[str, list[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = ("raydgp", *path.relative_to(PACKAGE).with_suffix("").parts)
        public = (ast.ClassDef, ast.FunctionDef)
        if any(isinstance(node, public) and not node.name.startswith("_") for node in ast.parse(path.read_text()).body):
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            rooms.setdefault(".".join(parts[:2]), []).append(name)
    return rooms


def reference() -> None:
    rooms = modules()
    for room, names in rooms.items():
        write(f"reference/{room}.md", f"# `{room}`", *(f"::: {name}" for name in names))
    shown = []
    for name in sorted(raydgp.__all__):
        value = getattr(raydgp, name)
        if not isinstance(value, ModuleType):
            shown.append(f"- [`raydgp.{name}`][{value.__module__}.{value.__qualname__}]")
    lines = "\n".join(f"- [`{room}`]({room}.md)" for room in rooms)
    write("reference/index.md", "# API reference", "What `import raydgp` shows:", "\n".join(shown), "By room:", lines)


settings_page()
strategies_page()
record_page()
reference()
