"""An option with a value that nobody should give is taken or refused in words, whatever verb it belongs to.

`python -m benchmarks.fuzz_options` tries every value with every option; here each option gets a few of them.
"""

from __future__ import annotations

import pytest

from benchmarks import fuzz_options

EACH = 2
"""Values that an option is tried with: other ones for each."""


@pytest.mark.parametrize("verb", fuzz_options.VERBS)
def test_odd_values_of_options_are_taken_or_refused(verb: str) -> None:
    with fuzz_options.project():
        options = fuzz_options.options_of(verb)
        at = list(fuzz_options.VERBS).index(verb)
        told = {
            f"{option}={odd[:40]!a}": problem
            for number, option in enumerate(options)
            for odd in fuzz_options.ODD[(at + number * EACH) % (len(fuzz_options.ODD) - 1) :][:EACH]
            if (problem := fuzz_options.problem(verb, option, odd)) is not None
        }
    assert told == {}
    assert options
