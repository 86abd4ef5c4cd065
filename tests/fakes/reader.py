"""GitHub's own reading of Markdown, and foreign text that would like to have a say in it."""

from __future__ import annotations

import html.parser

import cmarkgfm
from cmarkgfm.cmark import Options

from tests.fakes import comparisons as made

CORPUS = (
    made.HOSTILE, "`", "``", "```\n", "~~~", "</details>", "</summary></code>", "<!-- x", "--> <b>",
    "@org/team", "#1", "org/repo#1", "GH-1", "3f2a9c1b7d3f2a9c1b7d3f2a9c1b7d3f2a9c1b7d",
    "https://evil.example", "<https://x.example>", "a@b.example", "[x]: http://evil.example", "![](http://x)",
    "| a | b |\n|-|-|", "> [!CAUTION]\n> x", "- [ ] x", "# x", "    x", "\\", "\\`", "$$x$$", "$`", "`$",
    ":smile:", "*a* _b_ ~c~", "&lt;script&gt; &#96;", "]]>", "x" * 10_000, "`" * 10_000, "\u202e\u2066",
    "\x00\x1b]8;;http://x\x07", "\ud800", " ", "", "\n\n\n", "\t", "\r\n", "<!-- kustodian:x:0 -->",
    "<!-\x00- kustodian:", "<!-- kusto\x00dian:", "suggestion\n```suggestion\nx\n```",
)  # fmt: skip


class Reader(html.parser.HTMLParser):
    """What GitHub's own Markdown makes of it: the tags, and the words that are in no code."""

    def __init__(self, markdown):
        super().__init__()
        self.tags, self.comments, self.words, self._open = [], [], [], []
        options = Options.CMARK_OPT_UNSAFE
        extensions = ["table", "autolink", "strikethrough", "tagfilter", "tasklist"]
        self.feed(cmarkgfm.markdown_to_html_with_extensions(markdown, options, extensions))
        self.close()
        assert not self._open

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, *(attr for attr in attrs if attr != ("open", None))))
        if tag not in {"br", "hr", "img", "input"}:
            self._open.append(tag)

    def handle_endtag(self, tag):
        self.tags.append(f"/{tag}")
        assert self._open.pop() == tag

    def handle_comment(self, data):
        self.comments.append(data)

    def handle_data(self, data):
        if not {"code", "pre"} & set(self._open):
            self.words.append(data)
