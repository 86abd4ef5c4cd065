"""The HTML page in a real browser: it works, logs no error, and asks nobody for anything."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from runner.report import html
from tests.browser import Page, browser, installed
from tests.fakes import comparisons as made

NAMES = (
    "JSON.stringify([...document.querySelectorAll('.object')].filter(each => each.checkVisibility())"
    ".map(each => each.querySelector('code').textContent))"
)
LAID_OUT = "document.querySelectorAll('table.diff')"
ROWS = f"[...{LAID_OUT}].flatMap(t => [...t.rows]).map(row => [...row.cells].map(c => c.textContent))"


@pytest.fixture(scope="module")
def shared() -> Iterator[Page]:
    command = installed()
    if command is None:
        pytest.skip("needs chromium or google-chrome on PATH")
    with browser(command) as page:
        yield page


@pytest.fixture
def show(shared, tmp_path):
    """Opens a comparison; afterwards nothing was logged and nothing but the page was asked for."""
    file = tmp_path / "page.html"

    def opened(comparison):
        file.write_text(html.page(comparison), encoding="utf-8")
        shared.said.clear()
        shared.asked.clear()
        shared.window(1280, 900)
        shared.prefer("light")
        shared.open(file)
        return shared

    yield opened
    shared.run("new Promise(requestAnimationFrame)")
    assert shared.said == []
    assert set(shared.asked) == {Path(file).as_uri()}


def sees(page, *names):
    """Waits until a reader sees exactly these objects."""
    page.wait(f"{NAMES} === {json.dumps(json.dumps(names, separators=(',', ':')))}")


def search(page, words):
    page.run("document.activeElement.blur()")
    page.press("/", text="/")
    assert page.run("document.activeElement.id") == "search"
    page.call("Input.insertText", text=words)


def click(page, selector):
    page.run(f"document.querySelector({selector!r}).click()")


def background(page):
    return page.run("getComputedStyle(document.body).backgroundColor")


def test_it_searches_names_and_content(show):
    page = show(made.CAUTION)
    everything = json.loads(page.run(NAMES))
    assert len(everything) == len(made.CAUTION.changes)

    for words, found in {
        "settings-7h2": ["web/settings-7h2kf9d4mg"],
        "API:1.5.0": ["web/api"],  # stands in the diff alone
        "flux-system/legacy": ["old/files", "old/report", "old/old"],
        "nowhere to be found": [],
    }.items():
        search(page, words)
        sees(page, *found)
        assert page.run("document.getElementById('found').textContent") == f"{len(found)} of 9 objects"
        assert page.run("document.getElementById('none').checkVisibility()") is not bool(found)
        page.press("Escape")
        sees(page, *everything)


def test_it_filters_by_action(show):
    page = show(made.CAUTION)
    for action in ("configured", "deleted", "moved", "skipped"):
        click(page, f".chip [data-action={action}]")
    sees(page, "web")


def test_a_diff_is_laid_out_when_it_is_opened_in_both_ways(show):
    page = show(made.ROUTINE)
    assert page.run(ROWS) == []
    page.run("document.querySelector('.object > summary').focus()")
    page.press("Enter", code="Enter", windowsVirtualKeyCode=13, text="\r")
    page.wait(f"{LAID_OUT}.length")

    old, new = (f"        image: ghcr.io/acme/api:{tag}" for tag in ("1.4.2", "1.5.0"))
    assert page.run(ROWS)[0] == ["@@ -7,8 +7,8 @@"]
    assert ["13", old, "13", new] in page.run(ROWS)
    assert page.run("[...document.querySelectorAll('mark')].map(m => m.textContent)") == ["4.2", "5.0"]
    click(page, "#layout")
    assert page.run(ROWS)[7:9] == [["13", "", old], ["", "13", new]]
    page.window(600, 900)
    assert page.run("document.documentElement.scrollWidth") <= 600


def test_light_and_dark(show):
    page = show(made.CAUTION)
    assert background(page) == "rgb(255, 255, 255)"
    click(page, "#theme")
    assert background(page) == "rgb(13, 17, 23)"
    page.prefer("dark")
    click(page, "#theme")
    assert background(page) == "rgb(255, 255, 255)"


def test_nothing_foreign_runs(show):
    page = show(made.hostile(made.HOSTILE + "<script>window.owned=1</script>"))
    click(page, "#expand")
    page.wait(f"{LAID_OUT}.length === 3")
    assert page.run("window.owned") is None
    assert page.run("document.images.length + document.links.length + document.scripts.length") == 1


def test_five_megabytes_stay_usable(show):
    page = show(made.large(5_000_000, 1000))
    assert len(json.loads(page.run(NAMES))) == 1000
    begun = page.run("performance.now()")
    search(page, "line 000077 of file 00500")
    sees(page, "team-5/file-00500")
    assert page.run("performance.now()") - begun < 20_000
    click(page, ".object:not([hidden]) > summary")
    page.wait(f"{ROWS}.length > 100")


def test_a_single_huge_object_is_drawn_in_parts(show):
    page = show(made.large(5_000_000, 1))
    click(page, ".object > summary")
    page.wait("document.querySelector('button.more')")
    before = len(page.run(ROWS))
    assert "Show more" in page.run("document.querySelector('.more').textContent")
    click(page, ".more")
    assert len(page.run(ROWS)) > before
    assert "left out here" in page.run("document.querySelector('.cut').textContent")


def test_a_page_without_changes(show):
    page = show(replace(made.NOTHING, idle=()))
    told = page.run("document.querySelector('.counts').textContent").split()
    assert " ".join(told) == "Nothing changes in 12 Kustomizations"
