"""What the scheduler makes of keys under load, in virtual time, told nothing of their limits."""

from statistics import median

import pytest

SEEDS = 7
MORE_SEEDS = {"K": 21}  # how long answers take decides there

# In twelve seconds what is left unspent at the end weighs: a reserve against jitter in S, large requests in E and U;
# in K a place is empty while an answer is on its way. Without headers (I, K) nothing is learnt but by being refused.
GOODPUT = {"E": 98.0, "I": 99.4, "K": 96.6, "S": 99.2, "U": 98.0}
REFUSED = {"C": 0.04, "I": 0.17, "K": 0.05, "Q": 0.05, "S": 0.05}
UNEVEN = {"G", "H", "P"}  # who comes by chance, or is many, is not served alike


@pytest.fixture
def results(letter, load, play):
    return [play(load, seed + 1) for seed in range(MORE_SEEDS.get(letter, SEEDS))]


def test_scenarios(letter, load, results):
    """Keys give what their limits allow, no call fails, next to nothing is refused, and callers share alike."""
    goodput = median(result.goodput for result in results)
    refused = median(result.refused for result in results)
    jain = median(result.jain for result in results)
    print(f"{letter} {load.title:38} goodput {goodput:6.2f} %  refused {refused:.3f}  Jain {jain:.4f}")  # shown by -rP
    assert goodput >= GOODPUT.get(letter, 99.0)
    assert refused <= REFUSED.get(letter, 0.03)
    assert [result.failed for result in results] == [0] * len(results)
    if letter == "P":  # who has one call at a time hardly feels who has fifty-four
        assert median(result.light_p99 for result in results) <= 1.0
    if letter not in UNEVEN:
        assert jain >= 0.99
