"""Lesson 02 in a real browser: JupyterLab runs all of it without error, pictures show, a wrong answer gets its hint.

Needs chromium (Debian: apt install chromium; `make setup` installs the rest); without it the test is skipped.
"""

import importlib.util
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from minikimi.files import NOTEBOOKS
from minikimi.lab.authoring.build import ENVIRONMENT

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="no chromium here: apt install chromium"),
    pytest.mark.skipif(importlib.util.find_spec("playwright") is None, reason="no playwright: make setup"),
]
LESSON = "02_rope_2d.ipynb"
WRONG = """def apply_rotary(x, cos, sin):
    a, b = x.float().chunk(2, dim=-1)
    cos, sin = cos[:, None], sin[:, None]
    return torch.cat([a * cos - b * sin, a * sin + b * cos], dim=-1).to(x.dtype)
apply_rotary = check("2.4", apply_rotary)"""


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A JupyterLab of its own: no token, no settings of this user, no news, no update checks. Yields its address."""
    home = tmp_path_factory.mktemp("home")
    (home / "my").mkdir()
    lesson = nbformat.read(NOTEBOOKS / LESSON, as_version=4)
    for cell in lesson.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None  # whatever shows later was made in this browser
    nbformat.write(lesson, home / "my" / LESSON)
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    folders = {name: str(home / name) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "IPYTHONDIR")}
    environment = os.environ | ENVIRONMENT | folders | {"HOME": str(home)}
    environment.pop("MPLBACKEND", None)
    options = [
        "--no-browser",
        f"--port={port}",
        "--IdentityProvider.token=",
        "--allow-root",
        f"--notebook-dir={home / 'my'}",
    ]
    options += ["--LabApp.news_url=None", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"]
    with (home / "log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *options], stdout=log, stderr=subprocess.STDOUT, env=environment
        )
    try:
        wait_until_up(address, home / "log")
        yield address
    finally:
        server.terminate()
        server.wait(timeout=30)


def wait_until_up(address: str, log: Path) -> None:
    for _ in range(120):
        try:
            urllib.request.urlopen(f"{address}/api/status", timeout=2).read()
            return
        except OSError:
            time.sleep(0.5)
    raise AssertionError(f"JupyterLab did not start:\n{log.read_text()[-2000:]}")


def test_lesson_in_jupyterlab(lab: str) -> None:
    from playwright.sync_api import expect, sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1200, "height": 1000})
        remote: list[str] = []
        page.on("request", lambda r: None if r.url.startswith((lab, "data:", "blob:", "ws:")) else remote.append(r.url))
        broken: list[str] = []
        page.on("pageerror", lambda error: broken.append(str(error)))
        page.goto(f"{lab}/lab/tree/{LESSON}?reset")
        expect(page.locator(".jp-Notebook .jp-Cell").first).to_be_visible(timeout=60_000)
        expect(page.get_by_text("| Idle")).to_be_visible(timeout=60_000)  # the kernel is up
        page.get_by_role("menuitem", name="Run", exact=True).click()
        page.locator(".lm-Menu-itemLabel").get_by_text("Run All Cells", exact=True).click()
        outputs = page.locator(".jp-OutputArea-output")
        expect(outputs.filter(has_text="0 of 8 exercises solved")).to_have_count(1, timeout=120_000)
        expect(page.locator(".jp-RenderedImage img")).to_have_count(6)
        assert page.locator("[data-mime-type='application/vnd.jupyter.stderr']").count() == 0
        assert page.locator("[data-mime-type='application/vnd.jupyter.error']").count() == 0
        expect(page.locator(".jp-OutputArea input, .jp-OutputArea .noUi-target").first).to_be_attached()

        cell = page.locator(".jp-CodeCell").filter(has_text="def apply_rotary")
        cell.locator(".cm-content").click()
        page.keyboard.press("ControlOrMeta+a")
        page.keyboard.insert_text(WRONG)
        page.keyboard.press("Shift+Enter")
        expect(outputs.filter(has_text="This is: half-split pairs")).to_have_count(1, timeout=30_000)
        browser.close()
    assert not remote and not broken
