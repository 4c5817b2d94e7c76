"""`qdiff new`: a commented model to begin with."""

from __future__ import annotations

import keyword
import pathlib
from typing import Annotated

import typer

from .common import BadInput, Debug

_TEMPLATE = '''"""{title}: a qubit between a hot and a cold bath, to be made into your own device."""

import qdiff as qd


class {name}(qd.Model):
    # Parameters: a default, a unit, and the values that are physical. Every command can set, sweep and differentiate them.
    gap: float = qd.parameter(1.0, unit="energy", text="splitting of the qubit", low=0, open=True)
    hot: float = qd.parameter(0.5, unit="1/energy", text="inverse temperature of the hot bath", low=0, open=True)
    cold: float = qd.parameter(2.0, unit="1/energy", text="inverse temperature of the cold bath", low=0, open=True)
    rate: float = qd.parameter(0.01, unit="energy", text="strength of both baths", low=0)

    # The physics: a Hamiltonian, and the jumps that each bath causes. More parts: qd.Space(a=qd.Spin(), b=qd.Boson(5)).
    # For the global master equation of any Hamiltonian: qd.secular(H, {{"hot": (coupling, bath), ...}}).
    @qd.structured
    def generator(self):
        qubit = qd.Space(qubit=qd.Spin()).qubit
        jumps = {{
            "hot": qd.thermal_jumps(qubit.minus, self.gap, qd.BosonicBath(self.hot, self.rate)),
            "cold": qd.thermal_jumps(qubit.minus, self.gap, qd.BosonicBath(self.cold, self.rate)),
        }}
        return qd.Lindblad(self.gap / 2 * qubit.z, jumps)

    # Solved once, however many figures of merit need it.
    @qd.shared
    def steady(self):
        return qd.steady_state(self.generator())

    # Figures of merit: what the commands evaluate, optimise and sweep. The docstring is what `qdiff show` prints.
    @qd.merit(symbol="J", unit="energy^2", source="this model")
    def heat_current(self):
        """Heat per time from the hot bath into the qubit."""
        return qd.heat_current(self.steady(), "hot")

    @qd.merit(symbol="p", unit="1", source="this model")
    def excited(self):
        """Population of the excited state."""
        return self.steady().populations("qubit")[0]
'''


def new_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the class, such as HeatValve; the file is heat_valve.py.")],
    debug: Debug = False,
):
    """Write a commented model to begin with, on which every command works."""
    if not name.isidentifier() or keyword.iskeyword(name) or name.startswith("_"):
        raise BadInput(f"NAME must be a name that a Python class can have, such as HeatValve, but was {name!r}")
    snake = "".join("_" + c.lower() if c.isupper() and k and not name[k - 1].isupper() else c.lower() for k, c in enumerate(name))
    path = pathlib.Path(f"{snake}.py")
    kind = name if any(c.isupper() for c in name) else "".join(part.capitalize() for part in name.split("_"))
    try:
        with open(path, "x") as file:  # never over a file that is there
            file.write(_TEMPLATE.format(title=kind, name=kind))
    except FileExistsError:
        raise BadInput(f"NAME must be one whose file is new, but {path} exists") from None
    except OSError as error:
        raise BadInput(f"{path} cannot be written: {error.strerror}") from None
    typer.echo(f"{path} is a model: try `qdiff show {path}:{kind}` and `qdiff evaluate {path}:{kind} --gradient`")
