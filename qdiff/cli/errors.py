"""How a command ends when it cannot do what was asked: one message on standard error, and an exit code."""

from __future__ import annotations

import functools
import os
import traceback

import typer

from ..studies.interrupt import requested
from .interrupt import INTERRUPTED, sentence

BUG, BAD_INPUT, FAILED_SOLVE = 1, 2, 3

# Whether this run shows tracebacks; set by --debug, before or after the command's name.
_debug = False

# The users' model files that were loaded, and how they were named: an error in one of them is said to be there.
_files: dict[str, str] = {}


def show_tracebacks(wanted: bool):
    global _debug
    _debug = wanted


def user_file(path: str):
    """Note that this file was loaded, as it was named."""
    _files[os.path.abspath(path)] = path


class Fail(Exception):
    """Ends the command with a message and an exit code."""

    def __init__(self, message: str, code: int):
        super().__init__(message)
        self.code = code


class BadInput(Fail):
    """The command line asks for something that does not exist or cannot be; exit code 2."""

    def __init__(self, message: str):
        super().__init__(message, BAD_INPUT)


def nearest(name: str, known) -> str:
    """How a sentence on an unknown name ends: "; did you mean 'chi'?", or with a full stop if none is near."""
    import difflib

    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.3)
    return f"; did you mean {near[0]!r}?" if near else "."


def guarded(command):
    """The command, ending with a short message and an exit code where it raised an error.

    Exit codes: 2 for bad input, 3 for a solve that failed or is not unique, 130 for Ctrl-C, 1 for what nobody foresaw.
    """

    @functools.wraps(command)
    def wrapper(*args, **kwargs):
        try:
            return command(*args, **kwargs)
        except (typer.Exit, typer.Abort, typer.BadParameter):
            raise
        except KeyboardInterrupt as error:
            typer.echo(f"qdiff: {sentence(error)}", err=True)
            raise typer.Exit(INTERRUPTED) from None
        except Exception as error:  # all of them: the program ends here, in a sentence and a code; --debug shows the rest
            if _debug:
                traceback.print_exc()
            # An interrupt in a callback may come out of JAX as an error of its own.
            message, code = (sentence(error), INTERRUPTED) if requested() else outcome(error)
            typer.echo(f"qdiff: {message}", err=True)
            raise typer.Exit(code) from None

    return wrapper


def where(error: BaseException) -> tuple[str, int] | None:
    """The user's model file, and its line, in which an error arose, if it did."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if os.path.abspath(frame.filename) in _files]
    return (_files[os.path.abspath(frames[-1].filename)], frames[-1].lineno or 0) if frames else None


def said(error: BaseException) -> str:
    """The kind of an error and the first line of what it says."""
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0]}" if text else type(error).__name__


def outcome(error: Exception) -> tuple[str, int]:
    """The message and the exit code of an error."""
    if isinstance(error, Fail):
        return str(error), error.code
    from ..results import NotUnique, SolveError

    if isinstance(error, (SolveError, NotUnique)):
        return str(error), FAILED_SOLVE
    if isinstance(error, ValueError):  # what the library says of wrong use
        return str(error), BAD_INPUT
    if isinstance(error, OSError):  # a disk that is full, a folder that may not be written
        named = f": {error.filename}" if error.filename else ""
        return (error.strerror + named if error.args and error.strerror else str(error)), BAD_INPUT
    if isinstance(error, MemoryError):
        return f"what is asked for must fit the memory, but does not ({str(error) or 'no size is known'})", BAD_INPUT
    if place := where(error):
        return f"{place[0]!r} fails (line {place[1]}): {said(error)}", BAD_INPUT
    return f"{type(error).__name__}: {error} (--debug shows where)", BUG
