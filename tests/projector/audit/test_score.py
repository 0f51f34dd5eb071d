import pytest

from projector.audit.levels.level import LEVELS, Breach, LevelName, LevelResult
from projector.audit.report import ReportFinding, Score, TableEquality
from projector.audit.score import WEIGHTS, score_of, score_text

MILLION = 1_000_000


def level(
    name: LevelName = "syntax", looked: int = 100, broken: int = 0, *breaches: Breach
) -> LevelResult:
    return LevelResult(name, looked, broken, ["a.rule", "b.rule"], list(breaches))


def breach(count: int = 1, *, veto: bool = False, name: LevelName = "syntax") -> Breach:
    return Breach(name, "a.rule", "it is broken", "trade", count, [], veto=veto)


def table(name: str = "trades", rows: int = 100, *, equal: bool = True) -> TableEquality:
    return TableEquality(name, equal, rows, rows, None)


def disagreement(count: int, *, veto: bool = True) -> ReportFinding:
    return ReportFinding(
        "equality", "tables.differs", "rows differ", "tables, trades", count, [], veto=veto
    )


def by_level(score: Score) -> dict[str, tuple[float, float]]:
    return {one.level: (one.score, one.weight) for one in score.levels}


def test_the_weights_of_all_levels_are_a_hundred_and_equality_weighs_most() -> None:
    assert sum(WEIGHTS.values()) == 100
    assert set(WEIGHTS) == {"equality", *LEVELS}
    assert max(WEIGHTS, key=WEIGHTS.__getitem__) == "equality"


def test_all_sound_is_exactly_a_hundred_whatever_levels_there_are() -> None:
    for number in range(1, len(LEVELS) + 1):
        for tables in (None, [table()]):
            score = score_of([level(name) for name in LEVELS[:number]], tables, 95.0)

            assert score.total == 100
            assert score_text(score.total) == "100"
            assert score.passed


@pytest.mark.parametrize("with_tables", [True, False])
def test_one_broken_of_a_million_is_never_shown_as_a_hundred(with_tables: bool) -> None:
    levels = [level(name, MILLION) for name in LEVELS[:-1]]
    levels.append(level("statistical", MILLION, 1, breach()))

    score = score_of(levels, [table(rows=MILLION)] if with_tables else None, 95.0)

    assert score.levels[-1].score == 99.9999
    assert score.levels[-1].broken == 1
    assert 99.9999 < score.total < 100
    assert score_text(score.total) == score_text(score.levels[-1].score) == "99.99"
    assert score.passed


def test_so_few_that_a_float_cannot_tell_are_still_below_a_hundred() -> None:
    score = score_of([level(looked=10**18, broken=1)], None, 95.0)

    among_others = score_of([level(), level("statistical", 10**18, 1)], [table()], 95.0)

    assert score.levels[0].score < 100
    assert score_text(score.total) == score_text(among_others.total) == "99.99"


@pytest.mark.parametrize(
    ("score", "text"),
    [
        (0.0, "0"), (100.0, "100"), (99.99999999, "99.99"), (94.999, "94.99"), (95.0, "95"),
        (99.5, "99.5"), (10.0, "10"), (33.3333, "33.33"),
    ],
)  # fmt: skip
def test_a_score_is_cut_not_rounded(score: float, text: str) -> None:
    assert score_text(score) == text


def test_a_score_just_below_its_threshold_does_not_pass_and_is_not_shown_as_if_it_did() -> None:
    score = score_of([level(looked=MILLION, broken=50_001)], None, 95.0)

    assert not score.passed
    assert not score.vetoes
    assert score_text(score.total) == "94.99"
    assert score_of([level(looked=MILLION, broken=50_000)], None, 95.0).passed


def test_a_level_that_looked_at_nothing_gives_its_weight_to_the_others() -> None:
    levels = [level("syntax"), level("semantic", 100, 50), level("business", 0)]

    score = score_of(levels, None, 95.0)

    assert by_level(score) == {"syntax": (100, 60), "semantic": (50, 40), "business": (0, 0)}
    assert score.total == pytest.approx(80)


def test_a_level_without_a_rule_is_not_perfect_whatever_it_was_given() -> None:
    ruleless = LevelResult("cross_reference", 100, 0, [], [])

    score = score_of([level("syntax", 100, 10), ruleless], None, 95.0)

    assert by_level(score) == {"syntax": (90, 100), "cross_reference": (0, 0)}
    assert not score_of([ruleless], None, 0.5).passed


def test_nothing_looked_at_at_all_scores_nothing_and_does_not_pass() -> None:
    assert score_of([level(name, 0) for name in LEVELS], None, 95.0).total == 0
    assert score_of([], None, 95.0).total == 0
    assert score_of([], [], 95.0).total == 0
    assert not score_of([], None, 95.0).passed


def test_a_level_that_could_look_at_nothing_but_found_something_scores_nothing() -> None:
    score = score_of([level("syntax"), level("business", 0, 0, breach(0))], None, 95.0)

    assert by_level(score)["business"] == pytest.approx((0, 100 * 20 / 35))


def test_tables_that_are_equal_in_having_no_row_were_looked_at() -> None:
    score = score_of([], [table(rows=0)], 95.0)

    assert by_level(score) == {"equality": (100, 100)}
    assert score.passed


def test_a_breach_of_no_single_record_costs_its_share_of_the_rules() -> None:
    score = score_of([level("statistical", 100, 10, breach(0), breach(10))], None, 95.0)

    assert by_level(score)["statistical"] == (40, 100)


def test_a_level_counts_as_broken_at_least_what_its_worst_rule_counts() -> None:
    score = score_of([level("syntax", 100, 1, breach(20))], None, 95.0)

    assert (score.levels[0].score, score.levels[0].broken) == (80, 20)


def test_more_broken_than_looked_at_is_nothing_not_less() -> None:
    assert score_of([level(looked=10, broken=12)], None, 95.0).total == 0


def test_a_veto_at_a_hundred_closes_the_gate() -> None:
    score = score_of([level("syntax", MILLION, 0, breach(0, veto=True))], [table()], 0.0)
    foreign = score_of([], [table(rows=MILLION)], 95.0, [disagreement(0)])

    assert score.vetoes == ["a.rule: it is broken"]
    assert score.total >= score.threshold
    assert not score.passed
    assert foreign.total == 100
    assert not foreign.passed


def test_unequal_tables_veto_and_the_rows_that_disagree_are_their_share() -> None:
    tables = [table(rows=60), table("bars", 40, equal=False)]

    unnamed = score_of([], tables, 95.0)
    named = score_of([], tables, 95.0, [disagreement(10, veto=False)])

    assert unnamed.vetoes == named.vetoes == ["table bars: the witnesses differ"]
    assert (unnamed.total, named.total) == (99, 90)


def test_a_veto_is_said_once_and_a_table_of_which_a_finding_tells_more_is_not_said_again() -> None:
    tables = [table(equal=False)]

    score = score_of([], tables, 95.0, [disagreement(1), disagreement(1)])

    assert score.vetoes == ["tables, trades: rows differ"]


def test_what_was_sampled_is_said() -> None:
    result = LevelResult("business", 100, 0, [], [], sampled=0.25)

    assert score_of([result], None, 95.0).levels[0].sampled == 0.25
