"""Simulate callers against an agent, capture its trace in production shape, judge it, diff it, replay it."""
