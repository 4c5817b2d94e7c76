"""`qdiff figure`: the published figures, recomputed and drawn, with what the papers claim about them."""

from __future__ import annotations

import pathlib
from typing import TYPE_CHECKING, Annotated

import typer

from .common import BadInput, Debug, Json, bad_values, dump, new_folder, path_of, without

if TYPE_CHECKING:
    from ..figures.claims import Claim
    from ..figures.published import Published

Name = Annotated[str, typer.Argument(metavar="NAME", help="A figure, such as rotor-4, or all of them: all.")]
Out = Annotated[
    pathlib.Path | None,
    typer.Option("--out", metavar="DIR", parser=path_of, help="Where NAME.png, NAME.svg and NAME.nc go. Default: a new folder here."),
]
Quick = Annotated[bool, typer.Option("--quick", help="Coarser grids; the claims come out the same.")]
Readme = Annotated[
    pathlib.Path | None,
    typer.Option("--readme", metavar="FILE", parser=path_of, help="With all: write the table of claims between its marks.", hidden=True),
]


def figure_command(
    name: Name,
    out: Out = None,
    quick: Quick = False,
    readme: Readme = None,
    as_json: Json = False,
    debug: Debug = False,
):
    """Recompute published figures from nothing: picture, data, and what the paper claims about each, with a verdict."""
    from ..figures import NAMES, load

    names = list(NAMES) if name == "all" else [name]
    if name != "all" and name not in NAMES:
        from .errors import nearest

        raise BadInput(f"there is no figure {name!r}{nearest(name, NAMES)} The figures are {', '.join(NAMES)}, or all of them: all")
    if readme is not None and name != "all":
        raise BadInput(f"--readme must come with all, because the table is of all figures, but the figure is {name}")
    if readme is not None:
        from ..figures.table import marked

        with bad_values():
            marked(readme)
    folder = _folder(out, name, names)
    claims = _run([load(each) for each in names], folder, quick)
    if readme is not None:
        from ..figures.table import rewrite

        rewrite(readme, claims)
    if as_json:
        found = {each: [claim.record() for claim in those] for each, those in claims.items()}
        typer.echo(dump({"out": str(folder), "quick": quick, "claims": found}))
    else:
        _table(claims, folder)


def _folder(out: pathlib.Path | None, name: str, names: list[str]) -> pathlib.Path:
    """The folder to write into: the given one, unless it has one of the files, or a new one here."""
    from ..figures.files import paths
    from ..studies.store.paths import results_folder

    if out is None:
        return new_folder(f"qdiff-out-figure-{name}")
    with bad_values():
        results_folder("--out", out)
    without(out, [path for each in names for path in paths(each, out)])
    return out


def _run(figures: list[Published], folder: pathlib.Path, quick: bool) -> dict[str, list[Claim]]:
    """Every figure computed, drawn and written, under a progress bar on standard error; their claims, in the figures' order.

    Two at a time are computed, because most of the time goes into compiling, which is done on one core; those of one module are not,
    because they share programs and data. Drawing is left to this thread: matplotlib's settings are global.
    """
    from concurrent.futures import ThreadPoolExecutor, as_completed

    from ..figures.files import save
    from .tables import bar as shown

    def computed(group: list[Published]):
        return [(figure, figure.data(quick)) for figure in group]

    groups: dict[str, list[Published]] = {}
    for figure in figures:
        groups.setdefault(type(figure).__module__, []).append(figure)
    claims: dict[str, list[Claim]] = {}
    with shown() as bar, ThreadPoolExecutor(2) as pool:
        task = bar.add_task("computing", total=len(figures))
        jobs = [pool.submit(computed, group) for group in groups.values()]
        try:
            for job in as_completed(jobs):
                for figure, data in job.result():
                    bar.update(task, description=f"computing; {figure.name} drawn")
                    claims[figure.name] = figure.claims(data)
                    save(figure, data, folder)
                    bar.advance(task)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
        bar.update(task, description="done")
    return {figure.name: claims[figure.name] for figure in figures}


def _table(claims: dict[str, list[Claim]], folder: pathlib.Path):
    from .tables import console, table

    out = console()
    rows = [(name, c.statement, c.published, c.found, c.verdict) for name, those in claims.items() for c in those]
    out.print(table("What the paper claims", ["figure", "claim", "published", "found", "verdict"], rows))
    if len(claims) == 1:
        from ..figures import load

        for name in claims:
            out.print(load(name).caption, markup=False)
    held = sum(c.holds for those in claims.values() for c in those)
    out.print(f"{held} of {len(rows)} claims hold; pictures and data in {folder}", markup=False)
