"""An option with a value that nobody should give is taken or refused in words, whatever verb it belongs to.

`python -m benchmarks.fuzz_options` tries every value with every option; here each option gets one of them.
"""

from __future__ import annotations

import pytest

from benchmarks import fuzz_options


@pytest.mark.parametrize("verb", fuzz_options.VERBS)
def test_odd_values_of_options_are_taken_or_refused(verb: str) -> None:
    at = 3 * list(fuzz_options.VERBS).index(verb)
    with fuzz_options.project():
        options = fuzz_options.options_of(verb)
        told: dict[str, str] = {}
        for number, option in enumerate(options, at):
            odd = fuzz_options.ODD[number % len(fuzz_options.ODD)]
            if (problem := fuzz_options.problem(verb, option, odd)) is not None:
                told[f"{option}={odd[:40]!a}"] = problem
    assert told == {}
    assert options
