"""``simulate serve``: traces taken in every day, kept, searched, read, scored, and turned into tests.

``intake`` takes them in, ``assembler`` makes whole traces of what came, ``store`` keeps them, ``search``
finds them again, ``pages`` and ``api`` show them. It needs the extra ``server``.
"""
