"""The questions, by what they are about.

Each module registers its scenarios here. They run in this order: first those that need both servers to hold the same, as
in the later ones the reference fails at some of what ours stores. For settings of its own a scenario has both restarted.
"""

SCENARIOS = {}


def scenario(function=None, **changed):
    """Registers a scenario; keywords are settings of both servers."""

    def register(function):
        SCENARIOS[function.__name__] = function
        function.settings = changed
        return function

    return register(function) if function else register


from . import search, sequences, listing, settings, routes, bodies, objects, karton  # noqa: F401, I001
