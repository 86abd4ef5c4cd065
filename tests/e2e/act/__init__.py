"""The action as a workflow runs it: its own image, real events, a real API server."""
