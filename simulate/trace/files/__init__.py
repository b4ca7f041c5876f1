"""Trace files of every format: read (`reader`), written (`writing`)."""
