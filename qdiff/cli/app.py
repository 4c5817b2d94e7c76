"""The command `qdiff`: models, show, new, evaluate, optimize, tradeoff, sensitivity, sweep, rerun, figure."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from .. import __version__
from ..progress_bar import progress
from .cache import use_compile_cache
from .errors import guarded, show_tracebacks
from .evaluate import evaluate_command
from .figure import figure_command
from .interrupt import INTERRUPTED, listening
from .new import new_command
from .optimize import optimize_command
from .sensitivity import sensitivity_command
from .show import models_command, show_command
from .sweep import rerun_command, sweep_command
from .tradeoff import tradeoff_command

_HELP = """Differentiable open quantum systems and quantum thermodynamics.

Exit codes: 0 done, 2 bad input, 3 a solve failed, 130 interrupted (Ctrl-C). Messages go to standard error, results to standard output.
A model file is Python and naming it runs it; nothing else in an input or output file is ever executed.
Compiled programs are kept in the user's cache folder; QDIFF_CACHE_DIR names another one, or none with "off".
"""

app = typer.Typer(no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False, help=_HELP)
app.command("models")(guarded(models_command))
app.command("show")(guarded(show_command))
app.command("new")(guarded(new_command))
app.command("evaluate")(guarded(evaluate_command))
app.command("optimize")(guarded(optimize_command))
app.command("tradeoff")(guarded(tradeoff_command))
app.command("sensitivity")(guarded(sensitivity_command))
app.command("sweep")(guarded(sweep_command))
app.command("rerun")(guarded(rerun_command))
app.command("figure")(guarded(figure_command))


def _version(wanted: bool):
    if wanted:
        typer.echo(f"qdiff {__version__}")
        raise typer.Exit()


@app.callback()
def _root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Show the version.", callback=_version, is_eager=True)] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show the whole traceback of an error.")] = False,
):
    show_tracebacks(debug)
    context.with_resource(progress())


def main():
    use_compile_cache()
    try:
        with listening():
            app()
    except SystemExit as end:
        if end.code != INTERRUPTED:
            raise
        # A program that is being compiled in another thread, of which nobody will hear any more, is not waited for.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(INTERRUPTED)
