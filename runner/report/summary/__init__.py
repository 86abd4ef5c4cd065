"""The job summary: a run as Markdown, in which foreign words stay words; and the verdict, its one line."""

from runner.report.summary.page import LIMIT, MESSAGE, message, reconcile, verdict

__all__ = ["LIMIT", "MESSAGE", "message", "reconcile", "verdict"]
