"""What can be asked of a running app: stop, pause, resume."""

import asyncio


class Controls:
    """Asked from HTTP and from signals; obeyed by the trading loop."""

    def __init__(self) -> None:
        self.stop = asyncio.Event()
        self.interrupted = False
        self._trading = asyncio.Event()
        self._trading.set()

    @property
    def paused(self) -> bool:
        """Whether trading is held."""
        return not self._trading.is_set()

    def interrupt(self) -> None:
        """Stop, and remember that a person at the terminal wanted it."""
        self.interrupted = True
        self.stop.set()

    def pause(self) -> None:
        """Hold trading before the next bar."""
        self._trading.clear()

    def resume(self) -> None:
        """Let trading go on."""
        self._trading.set()

    async def may_trade(self) -> bool:
        """Wait while trading is held; False once the app is to stop."""
        if self.paused and not self.stop.is_set():
            waits = [asyncio.create_task(e.wait()) for e in (self._trading, self.stop)]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()
        return not self.stop.is_set()

    async def pause_for(self, seconds: float) -> None:
        """Wait so long, or until the app is to stop."""
        try:
            async with asyncio.timeout(seconds):
                await self.stop.wait()
        except TimeoutError:
            pass
