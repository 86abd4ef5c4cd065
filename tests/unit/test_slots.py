"""Who of those that wait gets the next slot."""

from __future__ import annotations

import queue
import resource
import threading

from runner import graph
from runner.slots import Slots
from tests.cluster import wait_until
from tests.fakes.play import PATIENCE, needs


def test_the_heaviest_goes_first_then_the_one_that_came_first():
    slots = Slots(1)
    slots.acquire(1)
    went: queue.Queue[str] = queue.Queue()

    def go(name: str, weight: int) -> None:
        slots.acquire(weight)
        went.put(name)
        slots.release()

    threads = []
    for number, (name, weight) in enumerate([("light", 1), ("heavy", 3), ("second", 3), ("middle", 2)], 1):
        threads.append(threading.Thread(target=go, args=(name, weight)))
        threads[-1].start()
        wait_until(lambda many=number: slots.waiting == many, f"{name} waits")
    slots.release()

    assert [went.get(timeout=PATIENCE) for _ in threads] == ["heavy", "second", "middle", "light"]
    for thread in threads:
        thread.join(PATIENCE)
    assert (slots.free, slots.waiting) == (1, 0)


def test_who_gives_a_slot_back_does_not_overtake_who_waits_for_it():
    slots = Slots(1)
    slots.acquire(9)
    went: queue.Queue[str] = queue.Queue()

    def go() -> None:
        slots.acquire(1)
        went.put("waited")
        slots.release()

    thread = threading.Thread(target=go)
    thread.start()
    wait_until(lambda: slots.waiting == 1, "it waits")
    slots.release()
    slots.acquire(9)
    went.put("came again")
    assert [went.get(timeout=PATIENCE) for _ in range(2)] == ["waited", "came again"]
    thread.join(PATIENCE)


def test_of_many_that_wait_nobody_is_woken_in_vain():
    many, slots = 400, Slots(1)
    slots.acquire(1)

    def go() -> None:
        slots.acquire(1)
        slots.release()

    threads = [threading.Thread(target=go) for _ in range(many)]
    for thread in threads:
        thread.start()
    wait_until(lambda: slots.waiting == many, "all wait")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw
    slots.release()
    for thread in threads:
        thread.join(PATIENCE)
    woken = resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw - before
    assert woken < 20 * many, "waking all each time takes many times many, halved"


def test_a_weight_is_the_length_of_the_longest_chain_that_waits():
    assert graph.weights(
        {"a": needs(), "b": needs("a"), "c": needs("b", "x"), "x": needs(), "alone": needs("outside")}
    ) == {"a": 3, "b": 2, "c": 1, "x": 2, "alone": 1}
