"""The page that says where things are must not name what is gone."""

import re

from tests.conftest import ROOT

PAGE = ROOT / "docs/architecture.md"
TOP = ("mixsd", "benchmarks", "baselines", "conf", "tests")


def test_every_path_on_the_page_exists():
    named = set(re.findall(rf"`((?:{'|'.join(TOP)})/[\w./]*)`", PAGE.read_text()))
    assert len(named) > 30
    assert not [path for path in sorted(named) if not (ROOT / path).exists()]


def test_every_package_is_on_the_page():
    page = PAGE.read_text()
    for package in sorted((ROOT / "mixsd").iterdir()):
        if (package / "__init__.py").exists():
            assert f"mixsd/{package.name}" in page, package.name
