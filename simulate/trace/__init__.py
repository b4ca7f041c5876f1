"""Spans and traces: files, dialects, the tree, cost, redaction, quality, sampling."""
