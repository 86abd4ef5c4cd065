"""The HTML page as text: self-contained, whole and inert; another test opens it in a browser."""

from __future__ import annotations

import html.parser
import re
import subprocess
import sys
from base64 import b64encode
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.changes import Comparison
from runner.report import clean
from runner.report import html as report
from tests.fakes import comparisons as made

ALL = {
    "nothing": made.NOTHING,
    "routine": made.ROUTINE,
    "caution": made.CAUTION,
    "faults": made.FAULTS,
    "hostile": made.hostile(),
    "empty": Comparison("", "", "", ""),
}


class Reader(html.parser.HTMLParser):
    """The tags in their order, and what is in some of them."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.inside, self._open = [], {}, []
        self.feed(page)
        self.close()
        assert not self._open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, {**dict(attrs)}))
        if tag not in {"meta", "link", "input", "col"}:
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if self._open:
            self.inside.setdefault(self._open[-1], []).append(data)


@pytest.mark.parametrize("name", ALL)
def test_it_fetches_nothing_and_allows_nothing_else(name):
    read = Reader(report.page(ALL[name]))
    given = {key: value for _, attrs in read.tags for key, value in attrs.items() if key in {"src", "href"}}
    assert given == {"href": "data:,"}
    policy = next(attrs["content"] for tag, attrs in read.tags if tag == "meta" and "http-equiv" in attrs)
    assert policy.startswith("default-src 'none'; ")
    for tag in ("style", "script"):
        digest = b64encode(sha256("".join(read.inside[tag]).encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert not any(key.startswith("on") or key == "style" for _, attrs in read.tags for key in attrs)


def structure(page):
    return [(tag, attrs.get("class")) for tag, attrs in Reader(page).tags]


PLAIN = structure(report.page(made.hostile("x")))


@settings(deadline=None, max_examples=25)
@given(st.text("<>&\"'/!-={}%# \n\u202eax", min_size=1, max_size=30))
def test_no_text_becomes_markup(foreign):
    page = report.page(made.hostile(foreign))
    if clean.line(foreign):
        assert structure(page) == PLAIN
    assert not re.search(r"[\u200b-\u200f\u202a-\u202e\u2066-\u2069]", page)


def test_the_same_again_gives_the_same_bytes():
    assert report.page(made.CAUTION) == report.page(made.CAUTION)


def test_secrets_show_what_changed_where_the_size_did_not():
    assert "data.token: changed, still ‹16 bytes›" in report.page(made.CAUTION)


def test_what_is_too_large_is_cut_and_says_so():
    page = report.page(made.large(5_000_000, 1))
    assert len(page) < 600_000
    assert re.search(r"<p class=\"cut\">[\d,]+ lines more are left out here, as there are too many", page)


def test_the_template_engine_is_loaded_only_when_it_is_used():
    code = "import sys, runner.report.html; sys.exit('jinja2' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
