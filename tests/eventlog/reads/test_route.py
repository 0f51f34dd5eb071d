"""Where reads go now, and who is told."""

import threading

from eventlog.reads.route import ReadRoute, Switched


def test_reads_begin_in_memory() -> None:
    assert ReadRoute().now == Switched("memory", 0)


def test_a_switch_is_told_to_all_who_follow() -> None:
    route = ReadRoute()
    heard: list[tuple[str, Switched]] = []
    route.on_change(lambda now: heard.append(("a", now)))
    route.on_change(lambda now: heard.append(("b", now)))

    assert route.set("postgres", 3)

    assert route.now == Switched("postgres", 3)
    assert heard == [("a", Switched("postgres", 3)), ("b", Switched("postgres", 3))]


def test_an_earlier_decision_changes_nothing() -> None:
    route = ReadRoute("postgres", 5)
    heard: list[Switched] = []
    route.on_change(heard.append)

    assert not route.set("memory", 4)

    assert route.now == Switched("postgres", 5)
    assert heard == []


def test_the_same_said_twice_is_told_once() -> None:
    route = ReadRoute()
    heard: list[Switched] = []
    route.on_change(heard.append)

    assert route.set("shadow", 1)
    assert route.set("shadow", 1)

    assert heard == [Switched("shadow", 1)]


def test_the_latest_decision_wins_whoever_comes_last() -> None:
    route = ReadRoute()
    heard: list[Switched] = []
    route.on_change(heard.append)
    start = threading.Barrier(8)

    def switch(number: int) -> None:
        start.wait()
        for decision in range(number, 800, 8):
            route.set("postgres" if decision % 2 else "memory", decision)

    threads = [threading.Thread(target=switch, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert route.now == Switched("postgres", 799)
    assert heard[-1] == route.now
    assert [s.decision for s in heard] == sorted({s.decision for s in heard})
