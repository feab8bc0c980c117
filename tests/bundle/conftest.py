"""What tests of the runner share: where it runs, and what it runs on."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support import fake_cuda


@pytest.fixture(scope="session")
def bare_python(tmp_path_factory):
    """A Python that has numpy and the standard library alone."""
    folder = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", "--symlinks", folder], check=True)
    site = next(folder.glob("lib/python*/site-packages"))
    numpy = Path(str(np.__file__)).parent
    for each in filter(Path.exists, (numpy, numpy.parent / "numpy.libs")):
        (site / each.name).symlink_to(each)
    return folder / "bin" / "python"


@pytest.fixture(scope="session")
def driver(tmp_path_factory):
    """A folder with the stand-ins of NVIDIA's libraries."""
    return fake_cuda.build(tmp_path_factory.mktemp("driver"))
