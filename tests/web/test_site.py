"""The dashboard's files as they travel."""

from __future__ import annotations

import gzip
import posixpath
import re
from dataclasses import replace
from pathlib import Path

import pytest

from ktrdr.web import site
from ktrdr.web.site import CHARTS, SWAGGER, VendoredFile, borrow, load_site

WEIGHT_LIMIT = 1_000_000
STYLE_SHEETS = Path(site.__file__).parent / "static" / "css"


def test_the_page_names_files_that_there_are() -> None:
    found = load_site()

    named = re.findall(r'(?:src|href)="web/([0-9a-f]+)/([^"]+)"', found.page.body.decode())

    assert len(named) >= 4
    assert {release for release, _ in named} == {found.release}
    assert {path for _, path in named} <= found.files.keys()


def test_modules_import_only_modules_that_there_are() -> None:
    files = load_site().files
    scripts = {name: file.body.decode() for name, file in files.items() if name.startswith("js/")}

    imported = {
        posixpath.normpath(posixpath.join(posixpath.dirname(name), path))
        for name, text in scripts.items()
        for path in re.findall(r'^(?:import|} from) .*?"(\..*)";$', text, re.MULTILINE)
    }

    assert imported == scripts.keys() - {"js/app.js"}
    assert not [name for name, text in scripts.items() if "innerHTML" in text or "https://" in text]


def test_all_modules_are_loaded_at_once() -> None:
    found = load_site()

    preloaded = re.findall(r'rel="modulepreload" href="web/[0-9a-f]+/([^"]+)"', found.page.body.decode())

    assert sorted(preloaded) == sorted(name for name in found.files if name.startswith("js/"))


def test_all_style_sheets_travel_as_one() -> None:
    files = load_site().files
    sheet = files["app.css"].body.decode()

    sources = [path.read_text(encoding="utf-8") for path in STYLE_SHEETS.glob("*.css")]

    assert len(sources) > 10
    assert all(source in sheet for source in sources)
    assert "@import" not in sheet
    assert [name for name in files if name.endswith(".css")] == ["app.css"]


def test_everything_together_is_light() -> None:
    found = load_site()

    weight = len(found.page.compressed) + sum(len(file.compressed) for file in found.files.values())

    assert weight < WEIGHT_LIMIT
    assert all(gzip.decompress(file.compressed) == file.body for file in found.files.values())


@pytest.mark.parametrize("file", [CHARTS, *SWAGGER], ids=lambda file: str(file.name))
def test_what_others_made_is_as_they_released_it(file: VendoredFile) -> None:
    assert borrow(file) is not None


@pytest.mark.parametrize(
    ("changed", "told"),
    [({"sha256": "0" * 64}, "altered"), ({"distribution": "no-such-package"}, "no-such-package"), ({"path": "x"}, "x")],
)
def test_what_is_not_the_right_file_is_not_served(
    changed: dict[str, str], told: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = load_site()
    monkeypatch.setattr(site, "CHARTS", replace(CHARTS, **changed))

    found = load_site.__wrapped__()

    assert CHARTS.name not in found.files
    assert told in caplog.text
    assert found.release != before.release
