"""One module a verb of the command line: ``HELP``, ``configure(parser)``, ``execute(args) -> exit code``."""
