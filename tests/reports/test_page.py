"""The page of a run, and the one that compares runs: complete, self-contained, and safe with what others wrote."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from msgspec import structs

from raydgp.errors import InputError
from raydgp.records import Journal, RunFolder, Status
from raydgp.records.deployed import Deployed, Way
from raydgp.reports import html, run_figures, write
from raydgp.settings import TuneSettings
from tests.support.tracked import NETWORK, bare_manifest, manifest, record, write_run

HOSTILE = "<script>alert('x')</script>"
VOID = {"meta", "br", "hr", "img", "input", "link"}


class _Balanced(HTMLParser):
    """Every element that is opened is closed, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: object) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: object) -> None:
        pass

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += f" {data}"


def words(page: str) -> str:
    """What a reader sees, after a look at the page's soundness."""
    parser = _Balanced()
    parser.feed(page)
    assert parser.open == []
    for figure in re.findall(r"<svg.*?</svg>", page, re.DOTALL):
        ET.fromstring(figure)
    return " ".join(parser.text.split())


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder(write_run(tmp_path / "run", "sqlite:///m.db"))


def test_a_run_is_told_as_a_whole(run: RunFolder) -> None:
    way = {"median_low_ms": 4.0, "median_high_ms": 5.0, "p95_ms": 6.0}
    others: dict[str, Way | str] = {"torch": Way(median_ms=9.0, **way), "openvino": "it is not installed"}
    Deployed(folder="out", ours=Way(median_ms=4.5, **way), others=others, gb_s=30.0).save(run.path)
    said = words(html([run]))
    assert "resnet18 on cpu, 2 threads" in said
    assert "before 1.8 ms" in said  # three calls of 600 us
    assert "after 0.66 ms" in said
    assert "faster 2.73×" in said
    assert "measured 80 20 failed" in said
    assert "raydgp 4.50 4.00–5.00 6.00 1.00×" in said
    assert "torch 9.00 4.00–5.00 6.00 2.00×" in said
    assert "openvino it is not installed" in said
    assert "a × 2 600 220 2.73×" in said
    assert "tile=[1, 38]" in said
    assert "still a gain" not in said
    assert "The last gain of more than 1 % came at measurement 39: 1 more found none." in said
    assert "run_error: 20" in said
    assert "30 GB/s" in said


def test_it_asks_nothing_of_a_network_and_is_small(run: RunFolder) -> None:
    page = html([run])
    assert not re.search(r"(src|href)\s*=|url\(|@import|https?:", page)
    assert len(page) < 100_000
    assert 'name="viewport"' in page
    assert "prefers-color-scheme: dark" in page
    assert all("aria-label" in figure or "aria-hidden" in figure for figure in re.findall(r"<svg[^>]*>", page))


def test_its_figures_are_files_for_pages_and_papers(run: RunFolder, tmp_path: Path) -> None:
    files = run_figures.write(run.path, tmp_path / "figures")
    assert {path.name for path in files} == {
        f"{name}.{kind}" for name in ("convergence", "roofline", "time") for kind in ("svg", "pdf")
    }
    said = (tmp_path / "figures" / "roofline.svg").read_text()
    assert "operations a byte" in said
    assert "measured peak of" in said
    empty = RunFolder(tmp_path / "empty")
    manifest("sqlite:///m.db", finished=False).save(empty.path)
    assert {path.stem for path in run_figures.write(empty.path, tmp_path / "none")} == {"time"}


def test_what_others_wrote_is_shown_and_not_run(run: RunFolder) -> None:
    failed = record("a", 500)
    measured = structs.replace(failed.measurement, status=Status.BUILD_ERROR, times_s=(), error=f"{HOSTILE}\nmore")
    with Journal(run.journal) as journal:
        journal.append([replace(failed, measurement=measured)])
    settings = run.manifest.settings | {"model": f"{HOSTILE}.onnx"}
    run.save(run.manifest.model_copy(update={"settings": settings, "device": {"name": HOSTILE}}))
    page = html([run])
    assert "<script" not in page
    assert words(page).count(HOSTILE) > 2


def test_its_settings_make_the_same_run_again(run: RunFolder) -> None:
    page = html([run])
    (text,) = re.findall(r"<pre>(.*?)</pre>", page, re.DOTALL)
    assert TuneSettings.model_validate(yaml.safe_load(text)) == run.settings.model_copy(
        update={"mlflow": TuneSettings(model="resnet18").mlflow}
    )


def test_layers_without_a_result_are_named(tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    manifest("sqlite:///m.db", finished=False).save(run.path)
    assert "2 of 2 layers have no result and are in no sum: a, b" in words(html([run]))
    with Journal(run.journal) as journal:
        journal.append([record("b", 1)])
    said = words(html([run]))
    assert "1 of 2 layers have no result and are in no sum: a" in said
    assert "not finished" in said
    empty = RunFolder(tmp_path / "empty")
    bare_manifest().save(empty.path)
    assert "0 tasks" in words(html([empty]))


def test_runs_side_by_side(run: RunFolder, tmp_path: Path) -> None:
    short, other = RunFolder(write_run(tmp_path / "short", "sqlite:///m.db", n=20)), RunFolder(tmp_path / "other")
    said = words(html([run, short]))
    assert "2 runs compared" in said
    assert "run resnet18 on cpu, 2 threads autotvm, 0 1.8 0.66 2.73× 80 20" in said
    assert "a 220 420 b 220 420" in said
    assert "different" not in said
    settings = run.manifest.settings | {"model": "vgg16"}
    run.manifest.model_copy(update={"device": {"name": "another", "threads": 4}, "settings": settings}).save(other.path)
    said = words(html([run, other]))
    assert "different devices: another, 4 threads; cpu, 2 threads" in said
    assert "different models" in said
    assert f"other has no result of {len(NETWORK)} of {len(NETWORK)} layers" in said
    assert "no layer in common" in said


def test_what_cannot_be_read_or_written_is_a_line(run: RunFolder, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="is not a run"):
        html([RunFolder(tmp_path / "absent")])
    with pytest.raises(InputError, match=r"absent/x.html: .*give --html a file in a folder"):
        write([run.path], tmp_path / "absent" / "x.html")
    (run.path / "deployed.json").write_text("{}")
    with pytest.raises(InputError, match=r"deployed.json: .*writes it anew"):
        html([run])
