"""Ctrl-C in a command: the first is never lost, the second ends at once."""

from __future__ import annotations

import _thread
import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator

from ..studies.interrupt import Interrupted, request

INTERRUPTED = 130  # as shells have it: 128 and the number of the signal

_PATIENCE = 2.0  # [s]
_WAIT = "qdiff: interrupted; it ends with what is computed just now, and at once if Ctrl-C is pressed again\n"
_AT_ONCE = "qdiff: interrupted twice, and ended at once; what was kept before is whole, and --resume goes on from there\n"


def sentence(error: BaseException) -> str:
    """What a command says when it was interrupted."""
    if not isinstance(error, Interrupted):
        return "interrupted: nothing is kept"
    return f"interrupted: {error.kept}" + (f"; --out {os.fspath(error.out)} --resume goes on from there" if error.out is not None else "")


@contextlib.contextmanager
def listening() -> Iterator[None]:
    """Within this context Ctrl-C raises KeyboardInterrupt and leaves a request, which studies look at between calls.

    An exception that is swallowed where it was raised, as in JAX's callback of Python's collector, is raised again. While
    a program is compiled or runs, no handler of Python's is called: a thread counts Ctrl-C, and the second ends the process.
    """
    own = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if not own:  # another's, or ignored, as in the background of a script
        yield
        return
    ears = _Ears()
    before, hook = signal.signal(signal.SIGINT, ears.heard), sys.unraisablehook
    sys.unraisablehook = lambda swallowed: ears.again() if issubclass(swallowed.exc_type, KeyboardInterrupt) else hook(swallowed)
    wakeup = signal.set_wakeup_fd(ears.write.fileno(), warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(wakeup)
        signal.signal(signal.SIGINT, before)
        sys.unraisablehook = hook
        ears.close()


class _Ears:
    def __init__(self):
        self._read, self.write = socket.socketpair()
        self.write.setblocking(False)
        self._repeated, self._over = 0, False
        threading.Thread(target=self._count, daemon=True).start()

    def heard(self, *_):
        request()
        raise KeyboardInterrupt

    def again(self):
        threading.Timer(0.05, self._repeat).start()  # once the callback is left that swallowed it

    def _repeat(self):
        if not self._over:
            self._repeated += 1
            _thread.interrupt_main()

    def _count(self):
        signals, patience = 0, None
        while True:
            self._read.settimeout(patience)
            try:
                found = self._read.recv(64)
            except TimeoutError:
                found, patience = b"", None
                if not self._over:
                    _say(_WAIT)
                continue
            if not found:
                return
            signals += found.count(signal.SIGINT)
            pressed = signals - self._repeated
            if pressed > 1:
                _say(("\x1b[?25h" if os.isatty(2) else "") + "\n" + _AT_ONCE)  # a bar may have hidden the cursor
                os._exit(INTERRUPTED)
            patience = _PATIENCE if pressed else None

    def close(self):
        self._over = True
        self.write.close()


def _say(text: str):
    with contextlib.suppress(OSError):
        os.write(2, text.encode())
