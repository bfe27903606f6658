"""The website: complete, nothing remote, formulas drawn, links that lead somewhere."""

import json
import re
from pathlib import Path

import pytest

from minikimi.lab.authoring.build import sources
from minikimi.lab.authoring.website import build_site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    build_site(folder, [s for s in sources([]) if s.number == "02"])
    return folder


def test_nothing_is_loaded_from_elsewhere(site: Path) -> None:
    for path in site.iterdir():
        loaded = re.findall(r'(?:src|href)="([^"]*)"|url\(([^)]*)\)|@import', path.read_text())
        for address in ("".join(pair) for pair in loaded):
            assert not re.match(r"(https?:)?//", address), f"{path.name}: {address[:80]}"


def test_links_and_search_entries_lead_somewhere(site: Path) -> None:
    for path in site.glob("*.html"):
        for address in re.findall(r'href="([^"#:]+)"', path.read_text()):
            assert (site / address).exists(), f"{path.name}: {address}"
    entries = json.loads(re.match(r"const INDEX = (.*);\n", (site / "search.js").read_text())[1])
    assert len(entries) > 30
    for entry in entries:
        assert f'id="{entry["cell"]}"' in (site / entry["page"]).read_text()


def test_pictures_and_formulas_are_there(site: Path) -> None:
    text = (site / "02_rope_2d.html").read_text()
    assert text.count("data:image/png;base64") >= 5 and text.count('class="formula"') > 10
    plain = re.sub(r"<pre.*?</pre>|<code.*?</code>|<[^>]+>", "", text, flags=re.S)
    assert not re.search(r"\$[^ $]|\\theta", plain), "TeX left in the text"
