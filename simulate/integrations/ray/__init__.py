"""A suite's conversations on Ray: other processes of this machine, or the machines of a cluster.

The leading process keeps all that a run without Ray keeps: the folder, the progress, what a resumed run still
has to do, the report. A task of Ray has some trials of one scenario, so that the agent is made ready once for
all of them; it runs them one after the other with the ordinary `Suite` into a folder of its own, and sends
each outcome with its files as soon as it ends. Chance comes from the run's seed, scenario and trial, so it is
the same as here.
"""

from simulate.integrations.ray.executor import RayFanOut

__all__ = ["RayFanOut"]
