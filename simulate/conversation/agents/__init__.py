"""Adapters to the agent under test, one module a way in, found by address."""
