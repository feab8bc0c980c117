"""Parts by name: ours, those that a program registers, and those of installed packages."""

import sys
from types import ModuleType
from typing import Any

import pytest

from raydgp import registry
from raydgp.errors import InputError
from raydgp.registry import Registry
from raydgp.sandbox.child_loop import allow_torch
from tests.support.processes import python


@pytest.fixture(autouse=True)
def _alone():
    with registry.isolated():
        yield


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Installs a package of one module with entry points of a group."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def install(name, source, group, **entry_points):
        (tmp_path / f"{name}.py").write_text(source)
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        lines = [f"{key} = {value}" for key, value in entry_points.items()]
        (info / "entry_points.txt").write_text("\n".join([f"[{group}]", *lines]) + "\n")
        monkeypatch.delitem(sys.modules, name, raising=False)

    return install


def test_a_part_is_imported_when_it_is_first_asked_for(monkeypatch):
    monkeypatch.delitem(sys.modules, "this", raising=False)
    parts: Registry[Any] = Registry("poem", "test.lazy", {"zen": "this:s"})
    assert parts.names() == ["zen"]
    assert "this" not in sys.modules
    assert parts["zen"].startswith("Gur Mra")


def test_an_unknown_name_gets_the_nearest():
    with pytest.raises(InputError, match="unknown colour 'gren'; did you mean 'green'"):
        Registry("colour", "test.colours", {"green": 1})["gren"]


def test_a_name_is_taken_by_one_definition():
    parts: Registry[Any] = Registry("class", "test.classes", {"ours": int})

    class One:
        pass

    class Two:
        pass

    parts.register("one", One)
    parts.register("one", type("One", (), {"__qualname__": One.__qualname__, "again": True}))
    assert parts["one"].again
    for name in ("one", "ours"):
        with pytest.raises(InputError, match=f"class '{name}' is there already"):
            parts.register(name, Two)


def test_what_lacks_something_is_refused():
    def check(name, part):
        if not callable(part):
            raise InputError(f"{name} cannot be called")

    parts: Registry[Any] = Registry("function", "test.functions", {"bad": "math:pi", "good": "math:sin"}, check)
    assert parts["good"](0) == 0
    with pytest.raises(InputError, match="cannot be called"):
        parts["bad"]
    with pytest.raises(InputError, match="cannot be called"):
        parts.register("mine", 3)


def test_entry_points_name_parts_or_modules_that_register_them(installed, monkeypatch):
    installed("outsider", "answer = 42", "test.points", answer="outsider:answer", gone="outsider:nothing")
    source = "from numbers_of_a_test import parts\nparts.register('late', 43)"
    installed("registers", source, "test.points", anything="registers")
    parts: Registry[Any] = Registry("number", "test.points", {"one": 1})
    module = ModuleType("numbers_of_a_test")
    vars(module)["parts"] = parts
    monkeypatch.setitem(sys.modules, "numbers_of_a_test", module)
    assert "outsider" not in sys.modules
    assert sorted(parts.names()) == ["answer", "gone", "late", "one"]
    assert (parts["answer"], parts["late"]) == (42, 43)
    with pytest.raises(InputError, match=r"number 'gone': outsider:nothing cannot be imported"):
        parts["gone"]


def test_what_was_registered_goes_to_another_process():
    numbers: Registry[int] = Registry("number", "test.shipped")
    numbers.register("mine", 7)
    sent = {"test.shipped": registry.registered()["test.shipped"]}
    script = f"""
from raydgp.registry import Registry, adopt
adopt({sent!r})
print(Registry("number", "test.shipped")["mine"])
"""
    assert python("-c", script).stdout == "7\n"


def test_a_child_that_has_imported_torch_keeps_it(monkeypatch):
    torch = ModuleType("torch")
    monkeypatch.setitem(sys.modules, "torch", torch)
    allow_torch()
    assert sys.modules["torch"] is torch
    monkeypatch.setitem(sys.modules, "torch", None)
    allow_torch()
    assert "torch" not in sys.modules


def test_what_tests_register_is_told_to_no_later_child(monkeypatch):
    module = ModuleType("outside")
    module.__file__ = "outside.py"
    monkeypatch.setitem(sys.modules, "outside", module)
    before = registry.extensions()
    with registry.isolated():
        Registry[Any]("thing", "test.things", {}).register("thing", object(), "outside")
        assert "outside" in registry.extensions()[registry.EXTENSIONS]
    assert registry.extensions() == before


def test_modules_of_another_group_may_register_parts_too(installed, monkeypatch):
    installed("teaches", "from parts_of_a_test import parts\nparts.register('late', 44)", "test.others", any="teaches")
    parts: Registry[Any] = Registry("number", "test.own", others=["test.others"])
    module = ModuleType("parts_of_a_test")
    vars(module)["parts"] = parts
    monkeypatch.setitem(sys.modules, "parts_of_a_test", module)
    assert parts["late"] == 44
