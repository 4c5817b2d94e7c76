"""A progress bar on standard error for long evolutions, driven from inside the compiled loop."""

from __future__ import annotations

import contextlib
import contextvars

_shown: contextvars.ContextVar[bool] = contextvars.ContextVar("shown", default=False)


@contextlib.contextmanager
def progress(shown: bool = True):
    """Within this context long evolutions show a progress bar (or, with False, none).

    Off by default in Python, on in the command line. Like `failures` it counts when a function is traced. A batch
    shows one bar, that of its slowest member; of a gradient the bar shows the way forward.

    Example:
        >>> import qdiff as qd
        >>> with qd.progress():
        ...     pass  # qd.evolve(generator, initial, times, solver=qd.solvers.Explicit())
    """
    token = _shown.set(bool(shown))
    try:
        yield
    finally:
        _shown.reset(token)


def shown(wanted: bool | None) -> bool:
    """Whether to show a bar; None leaves it to `progress`."""
    return _shown.get() if wanted is None else wanted


def meter(wanted: bool | None):
    """Diffrax's progress meter, shown or not; None leaves it to `progress`."""
    import diffrax

    return diffrax.TqdmProgressMeter(refresh_steps=100) if shown(wanted) else diffrax.NoProgressMeter()
