"""Named parts that others can add without a fork: by a call, or by an entry point of an installed package."""

from __future__ import annotations

import importlib.util
import json
import pkgutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import entry_points
from typing import Any, Generic, TypeVar

from raydgp.errors import InputError, nearest

T = TypeVar("T")

EXTENSIONS = "RAYDGP_EXTENSIONS"  # environment variable that tells child processes of modules that registered parts

_registered: dict[str, dict[str, Any]] = {}  # group -> name -> part, by calls of `register` in this process

_extensions: dict[str, str] = {}  # module from outside of raydgp that has registered a part -> its file


class Registry(Generic[T]):
    """Parts by name. One that is given as `module:attribute` is imported when it is first asked for.

    Args:
        what: a part is called in messages.
        group: of the entry points that add parts; they are read when a part is first looked for that is not there yet,
            or when all names are. What one names is either a part, which gets the entry point's name, or a module,
            which registers its parts while it is imported.
        parts: those that are there from the start.
        check: of a part that is registered or loaded; raises InputError where it lacks something.
        others: further groups of entry points whose modules may register such parts, too.
    """

    def __init__(
        self,
        what: str,
        group: str,
        parts: Mapping[str, T | str] | None = None,
        check: Callable[[str, T], None] = lambda name, part: None,
        others: Sequence[str] = (),
    ) -> None:
        self._what, self._group, self._check, self._others = what, group, check, others
        self._parts: dict[str, T | str] = dict(parts or {})
        self._read = False

    @property
    def _registered(self) -> dict[str, T | str]:
        return _registered.setdefault(self._group, {})

    def register(self, name: str, part: T | str, module: str | None = None) -> None:
        """Adds a part, or `module:attribute` of one. The same definition run again, as in a notebook, replaces it.

        Args:
            module: that it comes from; where its class or function is defined by default.

        Raises:
            InputError: the name is taken by another part, or the part lacks something.
        """
        known = self._registered.get(name, self._parts.get(name))
        if known is not None and _definition(known) != _definition(part):
            raise InputError(f"{self._what} {name!r} is there already; choose another name")
        if not isinstance(part, str):
            self._check(name, part)
        module = module or _module(part)
        if module.partition(".")[0] == __name__.partition(".")[0]:
            self._parts[name] = part
            return
        self._registered[name] = part
        if file := getattr(sys.modules.get(module), "__file__", None):
            _extensions[module] = file

    def names(self) -> list[str]:
        """All names, those of entry points included, in the order in which they were added."""
        self._read_entry_points()
        return list({**self._parts, **self._registered})

    def require(self, name: str) -> None:
        """Checks that there is a part of a name, without importing it.

        Raises:
            InputError: there is none; names the nearest.
        """
        if name not in self:
            raise InputError(f"unknown {self._what} {name!r}{nearest(name, self.names())}")

    def __contains__(self, name: str) -> bool:
        if name not in self._parts and name not in self._registered:
            self._read_entry_points()
        return name in self._parts or name in self._registered

    def __getitem__(self, name: str) -> T:
        """The part of a name.

        Raises:
            InputError: there is none, or what it names cannot be imported.
        """
        self.require(name)
        parts = self._registered if name in self._registered else self._parts
        part = parts[name]
        if isinstance(part, str):
            loaded: T = resolve(part, f"{self._what} {name!r}")
            self._check(name, loaded)
            parts[name] = part = loaded
        return part

    def _read_entry_points(self) -> None:
        if self._read:
            return
        self._read = True  # first, for a module that registers its parts may look for others
        for entry in entry_points(group=self._group):
            if ":" in entry.value:
                self._parts.setdefault(entry.name, entry.value)
            else:
                resolve(entry.value, f"entry point {entry.name!r} of {self._group}")
        for group in self._others:
            for entry in entry_points(group=group):
                resolve(entry.value.partition(":")[0], f"entry point {entry.name!r} of {group}")


def registered() -> dict[str, dict[str, Any]]:
    """What was registered by calls in this process, for `adopt` in another: group -> name -> part."""
    return {group: dict(parts) for group, parts in _registered.items()}


def adopt(parts: Mapping[str, Mapping[str, Any]]) -> None:
    """Registers here what `registered` gave in another process."""
    for group, named in parts.items():
        _registered.setdefault(group, {}).update(named)


@contextmanager
def isolated() -> Iterator[None]:
    """Forgets at its end what was registered inside of it, for tests."""
    before, known = registered(), dict(_extensions)
    try:
        yield
    finally:
        _registered.clear()
        _registered.update(before)
        _extensions.clear()
        _extensions.update(known)


def extensions() -> dict[str, str]:
    """Environment of a child process that is to load the modules from outside of raydgp that have registered parts."""
    return {EXTENSIONS: json.dumps(_extensions)} if _extensions else {}


def load_extensions(environment: Mapping[str, str]) -> None:
    """Loads in a child process the modules of `extensions`, each from its file: the path may lack them.

    A script that runs as `__main__` is loaded under another name, as multiprocessing does it: what it does under
    `if __name__ == "__main__"` is done by the parent alone.

    Raises:
        InputError: a part was registered by what is no module of Python, such as a notebook's cell.
    """
    for name, file in json.loads(environment.get(EXTENSIONS, "{}")).items():
        own = "__raydgp_main__" if name == "__main__" else name
        if own in sys.modules:
            continue
        spec = importlib.util.spec_from_file_location(own, file)
        if spec is None or spec.loader is None:
            raise InputError(f"{file}: not a module of Python; register parts in a file that can be imported")
        sys.modules[own] = module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)


def resolve(name: str, whose: str) -> Any:
    """What `module:attribute` or a module's name stands for.

    Args:
        whose: name it is, for the message.

    Raises:
        InputError: it cannot be imported.
    """
    try:
        return pkgutil.resolve_name(name)
    except (ImportError, AttributeError, ValueError) as error:
        raise InputError(
            f"{whose}: {name} cannot be imported ({error}); install its package or mend the name"
        ) from None


def _module(part: object) -> str:
    """Name of the module that defines a part."""
    return part.partition(":")[0] if isinstance(part, str) else str(getattr(part, "__module__", type(part).__module__))


def _definition(part: object) -> tuple[str, str]:
    """What stays the same when the code that defines a part is run again, also under another name: file and name."""
    name = part.partition(":")[2] if isinstance(part, str) else getattr(part, "__qualname__", type(part).__qualname__)
    module = _module(part)
    return getattr(sys.modules.get(module), "__file__", None) or module, str(name)
