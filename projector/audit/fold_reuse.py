"""Whether a fold may go on from what an earlier one left: only where it would be the same again."""

from collections.abc import Mapping, Sequence

import msgspec

from projector.audit.fold_store import FoldStore
from projector.voids import is_beyond
from schemas.digest import BUCKETS
from schemas.domain import Domain, Kind
from schemas.fingerprint import digest_of, fingerprint
from schemas.mend import Mend
from schemas.void import Void

_NOTE = "made with"


class _MadeWith(msgspec.Struct, frozen=True):
    generation: int
    domain: str
    buckets: int
    kinds: dict[str, tuple[int, str]]
    """Name → (its number in the store, the digest of its code)."""
    mends: list[Mend]
    voids: list[Void] = []


def begin(
    store: FoldStore,
    domain: Domain,
    generation: int,
    mends: Sequence[Mend],
    voids: Sequence[Void] = (),
) -> dict[str, int]:
    """Return the numbers under which the store has the domain's kinds.

    It is emptied first where the code that made it differs, the domain or topic is another, or a
    mend is of a place that was read already, or a void or the reversal of one. The records are
    compared as reading goes on.
    """
    found = store.note(_NOTE)
    made = None if found is None else msgspec.msgpack.decode(found, type=_MadeWith)
    codes = {kind.name: _code(kind, domain.ddl) for kind in domain.kinds}
    if made is None or not _same(store, made, domain, generation, codes, mends, voids):
        if made is not None:
            store.clear()
        known: Mapping[str, tuple[int, str]] = {}
    else:
        known = made.kinds
    numbers = {name: number for name, (number, _) in known.items()}
    for name in sorted(codes):
        numbers.setdefault(name, len(numbers))
    kinds = {name: (number, codes.get(name) or known[name][1]) for name, number in numbers.items()}
    note = _MadeWith(generation, domain.name, BUCKETS, kinds, list(mends), list(voids))
    store.take_note(_NOTE, msgspec.msgpack.encode(note))
    return numbers


def _same(  # noqa: PLR0917
    store: FoldStore,
    made: _MadeWith,
    domain: Domain,
    generation: int,
    codes: Mapping[str, str],
    mends: Sequence[Mend],
    voids: Sequence[Void],
) -> bool:
    if (made.generation, made.domain, made.buckets) != (generation, domain.name, BUCKETS):
        return False
    if any(codes[name] != code for name, (_, code) in made.kinds.items() if name in codes):
        return False
    if set(made.kinds) - set(codes) or (set(codes) - set(made.kinds) and store.failures()):
        return False  # rows that nobody here can make; what did not fold may fold now
    seqs = {lane: head.seq for lane, head in store.lanes().items()}
    changed = [void for void in (*made.voids, *voids) if (void in made.voids) != (void in voids)]
    if any(is_beyond(void, seqs) for void in changed):
        return False
    places = store.places()
    new = [mend for mend in mends if mend not in made.mends]
    if len(made.mends) + len(new) != len(mends):
        return False
    return all(
        offset >= places.get(mend.partition, (0, ""))[0]
        for mend in new
        for offset in (*mend.ignore, *([] if mend.continue_at is None else [mend.continue_at]))
    )


def _code(kind: Kind, ddl: str) -> str:
    return digest_of(fingerprint(kind, ddl))
