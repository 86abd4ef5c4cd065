"""A comparison as one page that needs nothing else: it opens from a file, and fetches nothing."""

from runner.report.html.page import page

__all__ = ["page"]
