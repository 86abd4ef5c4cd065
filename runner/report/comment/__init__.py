"""A comparison as Markdown for GitHub: the comment on a pull request, and the job summary."""

from runner.report.comment.page import COMMENT, LEAST, SUMMARY, Rendered, markdown, marker

__all__ = ["COMMENT", "LEAST", "SUMMARY", "Rendered", "markdown", "marker"]
