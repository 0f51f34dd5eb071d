"""Reads of the tables never show a stream without its parked events to those who wait for them."""

import pytest

from eventlog.parked import ParkedStream
from eventlog.receipts import AppliedParked
from schemas.lane import partition_of
from tests.eventlog.app import DEADLINE_S, account, opened, taken
from tests.eventlog.reads.followed import Followed


@pytest.fixture
def parked(followed: Followed) -> Followed:
    """Reads are in PostgreSQL, and one of two accounts waits behind a parked event."""
    followed.ferry.record_all([opened("bad"), opened("good"), taken("m", 1)])
    followed.catch_up()
    stream = "account/bad"
    place = partition_of(stream, followed.ferry.identity.partitions)
    waits = ParkedStream(stream, place, 1, "ledger.account.deposited.v1", "no room", "somewhere")
    followed.ferry.promises.parked.tell([waits])
    followed.to("postgres")
    return followed


def test_a_read_that_a_parked_stream_could_change_ends_with_the_reason(parked: Followed) -> None:
    for read in (
        lambda: parked.accounts.get("bad"),
        lambda: parked.accounts.find(owner="Ada"),
        parked.accounts.page,
        parked.accounts.count,
    ):
        with pytest.raises(AppliedParked, match=r"stream 'account/bad' waits.*no room"):
            read()


def test_other_streams_and_kinds_and_reads_that_do_not_wait_go_on(parked: Followed) -> None:
    receipt = parked.ferry.record(opened("new"))
    receipt.durable(DEADLINE_S)
    parked.catch_up()

    assert parked.accounts.get("good") == account("good", 0)
    assert [reading.number for reading in parked.readings.find()] == [1]
    assert parked.accounts.get("bad", wait=False) == account("bad", 0)
    assert parked.accounts.count(after=receipt) == 3
