"""The value types that the trading domain's events and entities are made of.

Their bounds are those of the tables' columns: what passes here fits into PostgreSQL.
"""

from datetime import datetime
from typing import Annotated, TypeAlias

from msgspec import Meta

Identifier: TypeAlias = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[!-~]+\Z")]
"""Names an entity and its stream: printable ASCII without spaces."""
Text: TypeAlias = Annotated[str, Meta(max_length=1000, pattern="^[^\u0000]*$")]
"""Free text; PostgreSQL's text and jsonb hold every character but NUL."""
UtcTime: TypeAlias = Annotated[datetime, Meta(tz=True)]
"""A time to the microsecond, as timestamptz holds it."""
Nanoseconds: TypeAlias = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]
"""The same time in nanoseconds since 1970 UTC, as a bigint holds it."""
Count: TypeAlias = Annotated[int, Meta(ge=0, le=2**63 - 1)]
"""How many of something, as a bigint holds it."""
