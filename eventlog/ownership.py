"""Which streams a source may write, where several sources write one topic."""

import fnmatch
import re
from collections.abc import Sequence

from schemas.errors import FerryError, SettingsInvalid


class NotOwner(FerryError):
    """The stream belongs to another source; memory has not changed."""


class Ownership:
    """The patterns of `owns`, as shells write them: `trade/D1-*`."""

    def __init__(self, source: str, patterns: Sequence[str]) -> None:
        for pattern in patterns:
            if "/" not in pattern:
                raise SettingsInvalid(
                    f"`owns` has {pattern!r}, which names no stream",
                    remedy='write KIND/KEY with * for any text, e.g. "trade/D1-*"',
                )
        self._source = source
        self._patterns = patterns
        self._matches = re.compile("|".join(map(fnmatch.translate, patterns))).match

    def require(self, stream: str) -> None:
        """Return where the source may write the stream; raises NotOwner."""
        if self._matches(stream) is None:
            raise NotOwner(
                f"source {self._source!r} does not own stream {stream!r}",
                where=f"`owns` is {', '.join(self._patterns)}",
                remedy="send the command to the instance that owns it, or correct `owns`; no two "
                "running sources may own one stream",
            )
