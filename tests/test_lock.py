"""The lock file can be installed with every Python that raydgp says it runs on."""

import re
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

LOCK = Path(__file__).parents[1] / "requirements.lock"
PINNED = dict(re.findall(r"^([\w.-]+)==(\S+)$", LOCK.read_text(), re.MULTILINE))
OLDEST = "3.11.0"  # pip looks for another set of versions for ever where one of these does not take it


@pytest.mark.parametrize("name", PINNED)
def test_a_locked_package_takes_the_oldest_python(name):
    try:
        package = metadata(name)
    except PackageNotFoundError:
        pytest.skip("not installed here")
    if package["Version"].partition("+")[0] != PINNED[name]:
        pytest.skip("another version is installed here")
    assert OLDEST in SpecifierSet(str(package.json.get("requires_python", "")))
