"""The relay's two places: a thread of the shim, or a process beside the app."""

import asyncio
import logging
import signal
import threading

from eventlog.marks import MarkFile
from eventlog.outbox.opening import RelayInUse, open_reader
from eventlog.outbox.tail import Tail
from eventlog.receipts import Watermark
from eventlog.recorder import Recorder
from eventlog.relay import Relay
from eventlog.topic import require_source
from schemas.errors import FerryError
from schemas.settings import Settings

_MARK_POLL_S = 0.01
log = logging.getLogger("memferry.relay")


class RelayStopped(FerryError):
    """The relay ended, for a reason that it tells; nothing durable is lost."""


class RelayThread:
    """A relay inside the app, woken by the outbox's own commits."""

    def __init__(self, ferry: Recorder, settings: Settings, tail: Tail) -> None:
        self._ferry = ferry
        self._mark = Watermark()
        ferry.promises.serve_replicated(self._mark)
        self._relay = Relay(settings, self._mark.advance, self._next_commit, report_trouble, tail)
        self._thread = threading.Thread(target=self._run, name="memferry-relay", daemon=True)
        ferry.on_close(self._close)

    def start(self) -> None:
        """Begin to relay."""
        self._thread.start()

    async def _next_commit(self, row: int) -> None:
        # The bound lets `stop` be seen when nothing is recorded any more.
        await self._ferry.durable.reached(row + 1, 0.2)

    def _run(self) -> None:
        try:
            asyncio.run(self._relay.run())
        except Exception as error:  # nobody else would tell those who wait for `replicated`
            log.exception("the relay stopped")
            self._mark.fail(
                error
                if isinstance(error, FerryError)
                else RelayStopped(
                    f"the relay stopped: {error!r}",
                    where=f"source {self._ferry.source}",
                    remedy="restart the app: what is durable is relayed then",
                )
            )

    def _close(self, timeout: float) -> None:
        """Relay what is durable by now, if Kafka answers in time, and end."""
        if self._thread.is_alive():
            self._mark.wait(self._ferry.durable.value, timeout)
        self._relay.stop()
        self._thread.join(timeout)


def follow_mark_file(ferry: Recorder, settings: Settings) -> None:
    """Serve `replicated` from the mark of a relay that runs as a process."""
    marks = MarkFile(settings.outbox_path)
    watermark = Watermark()
    ended = threading.Event()

    def follow() -> None:
        told = None
        while not ended.wait(_MARK_POLL_S):
            watermark.advance(marks.read())
            explained = marks.explanation()
            if explained == told:
                continue
            told = explained
            if told is None:
                watermark.mend()
            else:
                what, where, remedy = told
                watermark.fail(RelayStopped(what, where=where, remedy=remedy))
        marks.close()

    thread = threading.Thread(target=follow, name="memferry-mark", daemon=True)
    ferry.promises.serve_replicated(watermark)

    def close(timeout: float) -> None:
        ended.set()
        thread.join(timeout)

    ferry.on_close(close)
    thread.start()


async def run_relay(settings: Settings) -> None:
    """Relay an outbox until SIGTERM or SIGINT; the process form of the relay."""
    require_source(settings)
    open_reader(settings).close()  # what is wrong with it is said before anything is made
    marks = MarkFile(settings.outbox_path)
    relay = Relay(settings, marks.write, on_trouble=report_trouble)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, relay.stop)
    marks.begin()
    try:
        await relay.run()
    except FerryError as error:
        if not isinstance(error, RelayInUse):  # the one that serves it speaks for itself
            marks.explain(error)
        raise
    finally:
        marks.close()


def report_trouble(error: BaseException) -> None:
    """Log a passing failure; the relay comes back by itself."""
    log.warning("the relay tries again: %s", str(error) or type(error).__name__)
