"""Reference numbers of the spintronic engine, and models with the parameters that belong to them.

The numbers in data/spintronic_engine.json were computed independently of this package, with 80-bit propagators of the 12 real
coordinates written by hand, checked against the 64 x 64 Liouvillian; derivatives by Richardson extrapolation of 80-bit values.
"""

import numpy as np
from helpers import reference_numbers

import qdiff as qd

DATA = reference_numbers("spintronic_engine")
NAMES = {
    "eps_R": "eps_right",
    "J": "exchange",
    "TLm": "left_in",
    "TLp": "left_out",
    "TRm": "right_in",
    "TRp": "right_out",
    "Lm": "boson_up",
    "Lp": "boson_down",
}
GEN1 = DATA["limit_cycle"]["GEN1_tau_0.8"]["params"]
FIG6 = DATA["limit_cycle"]["FIG6_tau_1"]["params"]
FIG7 = DATA["limit_cycle"]["FIG7_tau_1"]["params"]


def engine(params, tau=1.0, **settings):
    """The model with the reference's names of parameters."""
    return qd.models.SpintronicEngine(**{NAMES.get(k, k): v for k, v in params.items()}, tau=tau, **settings)


def state(words: str):
    """The 12 coordinates of "p3=p5=1/2": the populations named, equal."""
    x = np.zeros(12)
    x[[int(part[1]) for part in words.split("=")[:-1]]] = 1
    return x / x.sum()


def points(table):
    """Every (parameters, value) of a table over two groups of parameters that vary together."""
    (rows, down), (cols, along) = (next(iter(table[k].items())) for k in ("rows", "cols"))
    for a, values in zip(down, table["values"], strict=True):
        for b, value in zip(along, values, strict=True):
            yield {**table["base"], **dict.fromkeys(rows.split("/"), a), **dict.fromkeys(cols.split("/"), b)}, value
