"""Links and commands of README.md, CONTRIBUTING.md and docs."""

import re

import pytest
from conftest import ROOT

PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")])
LINK = re.compile(r"\]\((?!https?:)([^)#]+)(?:#([^)]*))?\)")


def get_anchors(path):
    """The anchors of a page's headings, as a Git host makes them."""
    headings = re.findall(r"^#+ (.*)$", path.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_lead_to_files_and_headings(page):
    text = re.sub(r"^    .*$", "", page.read_text(encoding="utf-8"), flags=re.M)  # code
    for path, anchor in LINK.findall(text):
        target = (page.parent / path).resolve()
        assert target.exists(), path
        assert not anchor or anchor in get_anchors(target), f"{path}#{anchor}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_name_files_and_modules_that_are_there(page):
    text = page.read_text(encoding="utf-8")
    for script in re.findall(r"python (\w[\w/]*\.py)", text):
        assert (ROOT / script).exists() or script in ("PROGRAM.py", "program.py"), script
    for module in re.findall(r"python -m ([\w.]+)", text):
        path = ROOT / module.replace(".", "/")
        known = ("pytest", "venv", "pip")
        assert module in known or path.with_suffix(".py").exists() or path.is_dir(), module


def test_the_readme_is_short():
    assert (ROOT / "README.md").stat().st_size <= 8000


def test_the_readme_leads_to_every_page():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    paths = [str(page.relative_to(ROOT)) for page in PAGES if page.name != "README.md"]
    assert [path for path in paths if f"]({path})" not in readme] == []
