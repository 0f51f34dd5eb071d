"""What a user is shown of an error."""

from schemas.errors import FerryError


def test_an_error_says_what_broke_where_and_what_to_do_next() -> None:
    error = FerryError("the disk is full", where="/dev/x", remedy="make room")

    assert str(error) == "the disk is full\n  where: /dev/x\n  next:  make room"


def test_an_error_leaves_out_what_it_does_not_know() -> None:
    assert str(FerryError("the disk is full")) == "the disk is full"
