"""The server's pages: drawn here, readable without a script, with nothing from elsewhere."""

from simulate.server.pages.boards import ROUTES as BOARDS
from simulate.server.pages.datasets import ROUTES as DATASETS
from simulate.server.pages.login import ROUTES as LOGIN
from simulate.server.pages.login import to_login
from simulate.server.pages.shared import STATIC, problem
from simulate.server.pages.traces import ROUTES as TRACES

ROUTES = [*TRACES, *DATASETS, *BOARDS, *LOGIN, STATIC]

__all__ = ["ROUTES", "problem", "to_login"]
