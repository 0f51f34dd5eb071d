"""A domain's declaration: what it offers, and which contradictions it refuses."""

from typing import Any

import msgspec
import pytest
from msgspec import Struct

from schemas.domain import Domain, DomainInvalid, Kind, load_domain
from schemas.tables import Table
from tests.domains.ledger import ACCOUNT, ACCOUNTS, DOMAIN, READING, READINGS, AccountOpened


class Seat(Struct, frozen=True):
    house: str
    row: int
    number: int


class SeatTaken(Struct, frozen=True):
    house: str
    row: int
    number: int


class SeatMoved(Struct, frozen=True):
    house: str
    row: int
    number: int


class SeatSold(Struct, frozen=True):
    house: str
    row: int


def kind(**changes: Any) -> Kind:
    return Kind(
        **{
            "name": "seat",
            "entity": Seat,
            "events": {"hall.seat.taken.v1": SeatTaken},
            "key": ("house", "row", "number"),
            "stream": ("house", "row"),
            "evolve": lambda present, event: present,
            "project": lambda event: (),
            "rows": lambda entity: (),
            "snapshot": lambda entity: entity,
            "tables": (Table("seats", ("house", "row", "number"), ("house", "row", "number")),),
            **changes,
        }
    )


def test_a_domain_finds_its_kinds_events_and_tables() -> None:
    assert DOMAIN.by_type["ledger.account.opened.v1"] == (ACCOUNT, AccountOpened)
    assert DOMAIN.type_of[AccountOpened] == "ledger.account.opened.v1"
    assert DOMAIN.kind_of[AccountOpened] is ACCOUNT
    assert DOMAIN.tables == {"accounts": ACCOUNTS, "readings": READINGS}
    assert DOMAIN.kind("reading") is READING


def test_an_unknown_kind_is_refused_with_those_there_are() -> None:
    with pytest.raises(DomainInvalid, match="domain ledger has no kind 'acount'") as caught:
        DOMAIN.kind("acount")

    assert "account, reading" in caught.value.remedy


def test_a_key_and_a_stream_are_read_from_entity_and_event_alike() -> None:
    seats = kind()

    for value in (Seat("opera", 3, 7), SeatTaken("opera", 3, 7)):
        assert seats.key_getter()(value) == ("opera", 3, 7)
        assert seats.stream_getter()(value) == "seat/opera/3"


def test_one_key_field_is_the_key_itself() -> None:
    by_house = kind(key=("house",), stream=("house",))

    assert by_house.key_getter()(Seat("opera", 3, 7)) == "opera"
    assert by_house.stream_getter()(Seat("opera", 3, 7)) == "seat/opera"


@pytest.mark.parametrize("stream", [(), ("row",), ("house", "number"), ("house", "row", "x")])
def test_a_stream_that_is_no_prefix_of_the_key_is_refused(stream: tuple[str, ...]) -> None:
    with pytest.raises(DomainInvalid, match=r"kind seat: stream .* is no prefix of its key"):
        kind(key=("house", "row"), stream=stream)


def test_an_event_without_the_key_fields_is_refused() -> None:
    with pytest.raises(DomainInvalid, match=r"kind seat: SeatSold lacks the key .*\['number'\]"):
        kind(events={"hall.seat.sold.v1": SeatSold})


def test_an_entity_without_the_key_fields_is_refused() -> None:
    with pytest.raises(DomainInvalid, match=r"SeatSold lacks the key fields \['number'\]"):
        kind(entity=SeatSold)


def test_one_event_under_two_names_is_refused() -> None:
    events = {"hall.seat.taken.v1": SeatTaken, "hall.seat.taken.v2": SeatTaken}

    with pytest.raises(DomainInvalid, match=r"hall.seat.taken.v2 \(SeatTaken\) is declared twice"):
        Domain("hall", (kind(events=events),), "")


def test_one_name_for_two_events_is_refused() -> None:
    other = kind(name="other", events={"hall.seat.taken.v1": Seat}, tables=())

    with pytest.raises(DomainInvalid, match="declared twice"):
        Domain("hall", (kind(), other), "")


def test_a_table_of_two_kinds_is_refused() -> None:
    other = kind(name="other", events={"hall.seat.moved.v1": Seat})

    with pytest.raises(DomainInvalid, match="table seats belongs to two kinds"):
        Domain("hall", (kind(), other), "")


def test_a_domain_is_loaded_by_the_name_of_its_module() -> None:
    assert load_domain("tests.domains.ledger") is DOMAIN


@pytest.mark.parametrize(
    ("module", "said"),
    [
        ("tests.domains.nowhere", "'tests.domains.nowhere' cannot be imported"),
        (".ledger", "the domain '.ledger' cannot be imported"),
        ("json", "json has no DOMAIN"),
    ],
)
def test_a_module_that_is_no_domain_is_refused_with_what_to_name(module: str, said: str) -> None:
    with pytest.raises(DomainInvalid, match=said) as caught:
        load_domain(module)

    assert "DOMAIN" in caught.value.remedy


def test_without_a_module_there_is_a_domain_of_no_kinds() -> None:
    domain = load_domain("")

    assert (domain.name, domain.kinds, domain.ddl) == ("app", (), "")


def test_a_hand_written_kind_goes_before_one_of_its_name() -> None:
    other = kind(name="other", events={"hall.seat.moved.v1": SeatMoved}, tables=())

    whole = Domain("hall", (kind(),), "").with_kinds([kind(tables=()), other])

    assert whole.kinds == (whole.kind("seat"), other)
    assert whole.kind("seat").tables
    assert whole.by_type["hall.seat.moved.v1"] == (other, SeatMoved)


def test_a_kind_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        ACCOUNT.name = "other"  # type: ignore[misc]
    assert issubclass(ACCOUNT.entity, msgspec.Struct)
