from xml.dom import minidom

import pytest

from compose.plots.axis import NARROW
from compose.plots.bars import Bar, Drift, bars, drift_bars
from compose.plots.histogram import histogram, number_text
from compose.plots.lines import Mark, Series, plot, plot_times

CANARY = "<script>'\"&"


def drawn(svg: str) -> minidom.Document:
    return minidom.parseString(svg)  # noqa: S318  (our own)


def of_class(document: minidom.Document, tag: str, name: str) -> list[minidom.Element]:
    return [one for one in document.getElementsByTagName(tag) if one.getAttribute("class") == name]


def texts(document: minidom.Document, name: str) -> list[str]:
    found = of_class(document, "text", name)
    return [one.firstChild.data for one in found if one.firstChild]  # type: ignore[union-attr]


def test_a_plot_of_a_run_has_its_lines_points_and_marks() -> None:
    line = Series("rate", "blue", [(0, 0), (5, 50), (10, 100)])
    dots = Series("waits", "orange", [(1, 2), (2, 3)], dots=True)

    svg = drawn(plot("Rates", "events/s", [line, dots], [Mark(CANARY, 5)], 10))

    assert [one.getAttribute("d") for one in of_class(svg, "path", "line")] == [
        "M64.0 214.0 L486.0 122.0 L908.0 30.0"
    ]
    assert len(svg.getElementsByTagName("circle")) == 2
    assert [one.getAttribute("x1") for one in of_class(svg, "line", "mark")] == ["486.0"]


@pytest.mark.parametrize("points", [[], [(1e9, 3.0)], [(1e9, 3.0), (1e9, 4.0)]])
def test_few_points_in_time_are_drawn_too(points: list[tuple[float, float]]) -> None:
    svg = drawn(plot_times("lag", "events", [Series("lag", "blue", points)], NARROW))

    assert len(svg.getElementsByTagName("circle")) == (len(points) if len(points) < 2 else 0)


def test_a_histogram_shows_both_shares_of_each_bin_in_height() -> None:
    svg = drawn(histogram("fees", [0, 1, 2], [0.25, 0.75], [1.0, 0.0]))

    down = NARROW.down
    heights = {
        name: [float(one.getAttribute("height")) for one in of_class(svg, "rect", name)]
        for name in ("source", "target")
    }
    assert heights["source"] == pytest.approx([0.25 * down, 0.75 * down], abs=0.1)
    assert heights["target"] == pytest.approx([down, 0.0], abs=0.1)
    assert texts(svg, "x") == ["0", "1", "2"]
    bars_of = of_class(svg, "rect", "source") + of_class(svg, "rect", "target")
    spans = sorted(
        (float(one.getAttribute("x")), float(one.getAttribute("width"))) for one in bars_of
    )
    ends = [x + width for x, width in spans]
    assert all(end <= x + 0.2 for end, (x, _) in zip(ends, spans[1:], strict=False))


def test_the_edges_of_many_bins_do_not_run_into_each_other() -> None:
    edges = [float(number) for number in range(41)]
    shares = [1 / 40] * 40

    assert len(texts(drawn(histogram("fees", edges, shares, shares)), "x")) <= 6


def test_an_empty_histogram_can_be_drawn() -> None:
    assert not of_class(drawn(histogram("fees", [], [], [])), "rect", "source")


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"), (1.25, "1.25"), (-0.5, "-0.5"), (1234.4, "1234"), (12_500, "12.5k"),
        (-3_000_000, "-3M"), (2e9, "2e+09"), (1e-7, "1e-07"),
    ],
)  # fmt: skip
def test_numbers_on_an_axis_are_short(number: float, text: str) -> None:
    assert number_text(number) == text


def test_drift_is_as_long_as_it_is_much_and_the_limit_is_marked() -> None:
    shown = [Drift("fees", 0.4, "PSI 0.4", False), Drift("price", 0.1, "PSI 0.1", True)]

    svg = drawn(drift_bars("Drift", 0.2, shown))

    (bad,), (good,) = of_class(svg, "rect", "bad"), of_class(svg, "rect", "good")
    width = float(bad.getAttribute("width"))
    assert float(good.getAttribute("width")) == pytest.approx(width / 4)
    limits = {float(one.getAttribute("x1")) for one in of_class(svg, "line", "limit")}
    assert limits == {float(bad.getAttribute("x")) + width / 2}


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_drift_without_end_is_drawn_as_long_as_there_is_room(value: float) -> None:
    shown = [Drift("fees", value, "PSI inf", False), Drift("price", 0.4, "PSI 0.4", False)]

    bars_of = of_class(drawn(drift_bars("Drift", 0.2, shown)), "rect", "bad")

    assert bars_of[0].getAttribute("width") == "420"
    assert float(bars_of[1].getAttribute("width")) == 420


def test_drift_below_the_limit_leaves_room_up_to_it() -> None:
    svg = drawn(drift_bars("Drift", 0.2, [Drift("fees", 0.0, "PSI 0", True)]))

    (limit, *_) = of_class(svg, "line", "limit")
    assert float(limit.getAttribute("x1")) < NARROW.width


def test_names_from_data_are_escaped_and_cut_but_not_lost() -> None:
    name = CANARY + "x" * 90

    documents = [
        plot(CANARY, CANARY, [Series(CANARY, "blue", [(0, 0), (1, 1)])], [Mark(CANARY, 0)], 1),
        bars(CANARY, [Bar(CANARY, 0, 1, CANARY, True)]),
        drift_bars(CANARY, 0.2, [Drift(name, 0.1, CANARY, True)]),
        histogram(CANARY, [0, 1], [1], [1]),
    ]

    assert not any("<script" in text for text in documents)
    svg = drawn(documents[2])
    assert svg.getElementsByTagName("title")[0].firstChild.data == name  # type: ignore[union-attr]
    assert len(texts(svg, "bar-name")[0]) < len(name)
