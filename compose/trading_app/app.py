"""The app as a whole: its history, its attachment to the shim, the ticks ahead of it, its state."""

import time
from collections import deque
from itertools import islice

import msgspec

import eventlog
from compose.trading_app.desk import Desk
from compose.trading_app.engine import TradingEngine
from compose.trading_app.options import Options
from compose.trading_app.tape import Tape, read_bars
from schemas.settings import Settings
from schemas.trading import DOMAIN

_RATE_SAMPLES = 20


class State(msgspec.Struct, frozen=True, kw_only=True):
    """What the app is doing, for people and programs that watch it."""

    counts: dict[str, int]
    """Entities in memory by kind."""
    cash: str
    equity: str
    bars: int
    """Traded by this process, history included."""
    bars_per_second: float
    events: int
    """Recorded by this process, those before attaching included."""
    attached: bool
    restored: bool
    tape_ended: bool
    snapshot: dict[str, int | bool] | None
    """Streams recorded by the first snapshot, how many there are, and whether it is done."""
    shim: dict[str, int] | None


class TradingApp:
    """A desk, an engine, and the tape they trade from."""

    def __init__(self, options: Options) -> None:
        self.desk = Desk()
        self.engine = TradingEngine(self.desk, options.seed)
        self.tape_ended = False
        self._options = options
        self._tape = Tape(read_bars(), options.multiplicity)
        self._bars = 0
        self._ticks = self._tape.play(options.laps)
        self._samples: deque[tuple[float, int]] = deque(maxlen=_RATE_SAMPLES)

    def trade_history(self) -> None:
        """Trade the bars before the shim is attached: the same ones at every start."""
        self.trade(self._options.history)

    def attach(self, settings: Settings) -> eventlog.Ferry:
        """Attach the shim; after a restart go on from what the log says of memory."""
        ferry = eventlog.attach(settings, domain=DOMAIN)
        self.desk.recording.attach(ferry)
        if ferry.restored:
            self.engine.resume()
            newest_ns = self.desk.market.newest_ns()
            self._ticks = self._tape.play_after(newest_ns, self._options.laps)
        ferry.snapshot()
        return ferry

    def trade(self, bars: int, until: float = float("inf")) -> int:
        """Trade the next bars, as many as there is time for; return how many.

        `until` is a time of the monotonic clock.
        """
        traded = 0
        on_tick = self.engine.on_tick
        for tick in islice(self._ticks, bars):
            on_tick(tick)
            traded += 1
            if time.monotonic() >= until:
                break
        else:
            self.tape_ended = traded < bars
        self._bars += traded
        return traded

    def sample(self) -> None:
        """Note the time, for the rate; call it about every second."""
        self._samples.append((time.monotonic(), self._bars))

    def state(self) -> State:
        """Return what the app is doing."""
        desk, recording = self.desk, self.desk.recording
        ferry = recording.ferry
        return State(
            counts={kind: recording.count(kind) for kind in recording.stores},
            cash=str(sum(desk.book.cash.values())),
            equity=str(desk.portfolios.equity()),
            bars=self._bars,
            bars_per_second=self._rate(),
            events=recording.events,
            attached=ferry is not None,
            restored=ferry is not None and ferry.restored,
            tape_ended=self.tape_ended,
            snapshot=_snapshot_progress(ferry) if ferry else None,
            shim=ferry.stats() if ferry else None,
        )

    def _rate(self) -> float:
        now = time.monotonic()
        if not self._samples:
            return 0.0
        since, bars = self._samples[0]
        return round((self._bars - bars) / max(now - since, 1e-9), 1)


def _snapshot_progress(ferry: eventlog.Ferry) -> dict[str, int | bool]:
    streams, total = ferry.snapshot_progress
    return {"streams": streams, "total": total, "done": ferry.snapshot_done.is_set()}
