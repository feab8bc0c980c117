"""The runner where nothing is installed but numpy."""

import ast
import subprocess
import sys
import time
import zipfile
from pathlib import Path

from click.testing import CliRunner

from raydgp.bundle import script
from raydgp.cli import commands
from raydgp.errors import InputError
from tests.support.bundles import bundle, hostile_tasks, results

ABSENT = ["tvm", "tvm_ffi", "torch", "ray", "mlflow", "raydgp", "pydantic", "click", "scipy", "psutil", "lazy_loader"]


def call(python, *arguments, folder):
    done = subprocess.run(
        [python, *arguments], capture_output=True, text=True, cwd=folder, env={"PATH": "/usr/bin:/bin"}
    )
    return done.returncode, done.stdout, done.stderr


def test_the_runner_imports_the_standard_library_and_numpy_alone():
    modules = script.modules()
    assert {"raydgp.bundle.runner.cuda", "raydgp.bundle.runner.llvm", "raydgp.sandbox.process"} <= modules
    for module in modules:
        roots = {name.partition(".")[0] for name in script.imported(module)}
        assert roots <= sys.stdlib_module_names | {"numpy", "raydgp"}, module


def test_packages_of_the_script_are_empty_and_nothing_asks_them_for_more():
    members = script.members()
    for name, text in members.items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("raydgp"):
                wanted = (node.module or "").replace(".", "/")
                files = [f"{wanted}.py", *(f"{wanted}/{alias.name}.py" for alias in node.names)]
                assert any(file in members for file in files), f"{name}: {node.module}"
    assert {text for name, text in members.items() if name.endswith("__init__.py")} == {b""}


def test_it_runs_where_only_numpy_can_be_imported(bare_python, target, tmp_path):
    tasks = hostile_tasks(["out[0] = right;", "*(volatile int *)8 = 0;", "out[0] = right + 0.0f;"])
    path = bundle(tmp_path / "x.bundle", tasks, target)
    probe = f"import importlib.util; print([n for n in {ABSENT} if importlib.util.find_spec(n)])"
    assert call(bare_python, "-c", probe + "; import numpy", folder=tmp_path)[:2] == (0, "[]\n")
    script.write_script(tmp_path / "run_bundle.pyz")
    arguments = ["run_bundle.pyz", "x.bundle", "--out", "r.jsonl", "--minutes", "1"]
    code, out, said = call(bare_python, *arguments, folder=tmp_path)
    assert code == 0, said
    assert "3 of 3 kernels measured. Results: r.jsonl" in out
    assert [line["status"] for line in results(tmp_path / "r.jsonl")[1]] == ["ok", "run_error", "ok"]
    with zipfile.ZipFile(path, "a") as file:
        for name, text in script.members().items():
            file.writestr(name, text)
    code, out, said = call(bare_python, "x.bundle", "--out", "r2.jsonl", "--minutes", "1", folder=tmp_path)
    assert code == 0, said
    lines = results(tmp_path / "r2.jsonl")
    assert [line["status"] for line in lines[1]] == ["ok", "run_error", "ok"]
    assert lines[0]["bundle"] == results(tmp_path / "r.jsonl")[0]["bundle"]


def test_a_child_of_the_script_finds_no_more_than_it_does(bare_python, target, tmp_path):
    """The child measures, so that a library it took from elsewhere would hide what the box lacks."""
    path = bundle(tmp_path / "x.bundle", hostile_tasks(["sleep(30);"]), target)
    script.write_script(tmp_path / "run.pyz")
    environment = {"PATH": "/usr/bin:/bin"}
    command = [bare_python, "run.pyz", path, "--out", "r", "--minutes", "1"]
    process = subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.DEVNULL)
    try:
        for child in _children(process.pid):
            mapped = Path(f"/proc/{child}/maps").read_text()
            assert "numpy" in mapped
            assert "torch" not in mapped
            assert "libtvm_compiler" not in mapped
    finally:
        process.kill()
        process.wait()


def test_wrong_arguments_are_said_in_one_line(bare_python, tmp_path):
    script.write_script(tmp_path / "run.pyz")
    code, _, said = call(bare_python, "run.pyz", "none.bundle", "--out", "r", "--minutes", "1", folder=tmp_path)
    assert code == 2
    assert said == "raydgp bundle: none.bundle: No such file or directory; give a file of `raydgp bundle make`\n"
    assert call(bare_python, "run.pyz", "--help", folder=tmp_path)[0] == 0
    assert call(bare_python, "run.pyz", "x", folder=tmp_path)[0] == 2


def test_the_command_line_runs_a_bundle_and_writes_the_script(target, tmp_path):
    path = bundle(tmp_path / "x.bundle", hostile_tasks(["out[0] = right;", "out[0] = 0;"]), target)
    given = ["bundle", "run", str(path), "--out", str(tmp_path / "r.jsonl"), "--minutes", "1", "--json"]
    done = CliRunner().invoke(commands.group, given)
    assert done.exit_code == 0, done.output
    found = done.stdout.splitlines()[-1]
    assert '"measured": 2' in found
    assert '"failed": {"wrong_answer": 1}' in found
    done = CliRunner().invoke(commands.group, ["bundle", "script", str(tmp_path / "run.pyz")])
    assert done.exit_code == 0
    assert zipfile.is_zipfile(tmp_path / "run.pyz")


def _children(pid):
    ends = time.monotonic() + 20
    while time.monotonic() < ends:
        found = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        loaded = [child for child in found if "libtvm_ffi" in Path(f"/proc/{child}/maps").read_text()]
        if loaded:
            return loaded
        time.sleep(0.05)
    raise AssertionError("no child has the device")


def test_what_cannot_be_measured_or_written_is_a_line(target, tmp_path):
    path = bundle(tmp_path / "x.bundle", hostile_tasks(["out[0] = right;"]), target)
    for arguments, message in {
        ("run", path, "--out", tmp_path / "r.jsonl", "--minutes", "nan"): "give a positive number",
        ("run", path, "--out", tmp_path / "r.jsonl", "--minutes", "-1"): "give a positive number",
        ("script", tmp_path): "give a file in a folder that is there",
        ("script", tmp_path / "absent" / "run.pyz"): "give a file in a folder that is there",
    }.items():
        done = CliRunner().invoke(commands.group, ["bundle", *map(str, arguments)])
        assert isinstance(done.exception, InputError)
        assert message in str(done.exception)
