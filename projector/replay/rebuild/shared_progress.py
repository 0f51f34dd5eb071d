"""What all processes of a rebuild have done, round by round, as one progress."""

from collections.abc import Callable

from projector.progress import Progress
from projector.replay.rebuild.telling import Said, error_of
from projector.stages import Stages


class SharedProgress:
    """Adds up this process's progress and what workers say of theirs, and tells the sum."""

    def __init__(self, on_progress: Callable[[Progress], None]) -> None:
        self._on_progress = on_progress
        self._earlier = Said()
        self._workers: dict[int, Said] = {}
        self.mine = Progress()
        self.total = Progress()

    def begin_round(self) -> None:
        """Begin anew with what was done so far; what stopped is tried again."""
        total = self.total
        self._earlier = Said(
            total.applied, total.duplicates, total.parked, total.batches, total.stages
        )
        self._workers, self.mine = {}, Progress()
        total.partitions, total.stopped = {}, {}

    def heard(self, worker: int, said: Said) -> None:
        """Take over what a worker says."""
        self._workers[worker] = said
        self.tell()

    def tell(self) -> None:
        """Add up, and tell."""
        total = self.total
        parts: list[Progress | Said] = [self._earlier, self.mine, *self._workers.values()]
        total.applied = sum(part.applied for part in parts)
        total.duplicates = sum(part.duplicates for part in parts)
        total.parked = sum(part.parked for part in parts)
        total.batches = sum(part.batches for part in parts)
        total.stages = Stages(
            *[
                sum(getattr(part.stages, name) for part in parts)
                for name in Stages.__struct_fields__
            ]
        )
        total.partitions = dict(self.mine.partitions)
        total.stopped = dict(self.mine.stopped)
        for said in self._workers.values():
            total.partitions |= said.partitions
            total.stopped |= {p: error_of(told) for p, told in said.stopped.items()}
        total.budget = self.mine.budget
        self._on_progress(total)
