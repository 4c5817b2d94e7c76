"""Every argument of the public functions replaced by fifteen wrong things: a sentence of qdiff's own, or a finite result."""

import traceback

import jax
import numpy as np
import pytest

import qdiff as qd

WRONG = {
    "nothing": None,
    "a word": "x",
    "minus one": -1,
    "zero": 0,
    "nan": float("nan"),
    "infinity": float("inf"),
    "an empty list": [],
    "an empty dictionary": {},
    "an object": object(),
    "a matrix": np.array([[1.0, 2.0], [3.0, 4.0]]),
    "a huge number": 1e308,
    "a fraction": 2.5,
    "a truth value": True,
    "a complex number": 1 + 2j,
    "a list of words": ["a"],
}
SPACE = qd.Space(a=qd.Spin(), b=qd.Spin())
a, b = SPACE.a, SPACE.b
H = a.z + 0.5 * b.z + 0.1 * (a.plus @ b.minus + a.minus @ b.plus)
START = {"a": "up", "b": "up"}


def bath(beta=1.0):
    return qd.BosonicBath(beta, 0.1)


def baths():
    return {"h": qd.thermal_jumps(a.minus, 2.0, bath(0.5)), "c": qd.thermal_jumps(b.minus, 1.0, bath(2.0))}


MOTION = qd.Lindblad(H, baths())
STATE = qd.steady_state(MOTION)
RATES = qd.pauli(qd.Lindblad(a.z + b.z, baths()))
CYCLE = qd.Cycle([qd.Free(MOTION, 1.0), qd.Measurement(a.z)])
THREE = qd.models.LambdaSystem()
# name -> (function, its arguments as they should be). What takes arguments beyond a few words is wrapped.
CALLS = {
    "Boson": (qd.Boson, {"levels": 3}),
    "Rotor": (qd.Rotor, {"l_min": -1, "l_max": 2}),
    "Levels": (lambda first: qd.Levels(first, "e"), {"first": "g"}),
    "Fermions": (lambda first: qd.Fermions(first), {"first": "up"}),
    "Space": (lambda factor: qd.Space(s=factor), {"factor": qd.Spin()}),
    "BosonicBath": (qd.BosonicBath, {"beta": 1.0, "spectrum": 0.1}),
    "Flat": (qd.Flat, {"rate": 0.1}),
    "Ohmic": (qd.Ohmic, {"strength": 0.1, "cutoff": 2.0}),
    "FermionicLead": (qd.FermionicLead, {"beta": 1.0, "mu": 0.0, "rate": 1.0, "spin_potential": 0.0}),
    "GivenLead": (qd.GivenLead, {"into": 1.0, "out_of": 1.0}),
    "thermal_jumps": (qd.thermal_jumps, {"lower": a.minus, "omega": 1.0, "bath": bath()}),
    "Lindblad": (qd.Lindblad, {"H": H, "jumps": {"h": [(0.1, a.minus)]}}),
    "a jump": (lambda rate, operator: qd.Lindblad(H, {"h": [(rate, operator)]}), {"rate": 0.1, "operator": a.minus}),
    "secular": (qd.secular, {"H": H, "couplings": {"h": (a.x, bath())}, "negative": "odd"}),
    "Rates": (qd.Rates, {"energies": [0.0, 1.0], "jumps": {"h": qd.thermal_transitions(0, 1, 1.0, bath())}}),
    "steady_state": (qd.steady_state, {"motion": MOTION, "solver": None, "initial": None}),
    "current": (qd.current, {"motion": MOTION, "state": STATE, "observable": H, "bath": "h"}),
    "currents": (qd.currents, {"motion": MOTION, "state": STATE, "observable": H}),
    "heat_current": (qd.heat_current, {"motion": MOTION, "state": STATE, "bath": "h"}),
    "ledger": (qd.ledger, {"motion": MOTION, "state": STATE, "H0": None}),
    "entropy": (qd.entropy, {"rho": STATE.rho}),
    "free_energy": (qd.free_energy, {"rho": STATE.rho, "H": H, "T": 1.0}),
    "ergotropy": (qd.ergotropy, {"rho": STATE.rho, "H": H}),
    "gibbs": (qd.gibbs, {"H": H, "beta": 1.0}),
    "evolve": (qd.evolve, {"motion": MOTION, "initial": np.eye(4) / 4, "times": [0.0, 1.0], "solver": None, "start": 0.0}),
    "correlation": (qd.correlation, {"motion": MOTION, "state": STATE, "A": a.z, "B": a.z, "times": [0.0, 1.0]}),
    "spectrum": (qd.spectrum, {"motion": MOTION, "state": STATE, "A": a.z, "B": a.z, "omegas": [0.0, 1.0]}),
    "zero_frequency_noise": (qd.zero_frequency_noise, {"motion": MOTION, "state": STATE, "A": a.z, "B": None}),
    "cumulants": (qd.cumulants, {"motion": MOTION, "state": STATE, "bath": "h", "of": "energy", "order": 2}),
    "relax": (qd.relax, {"motion": MOTION, "initial": None, "count": 4, "tolerance": 1e-3}),
    "pauli": (qd.pauli, {"motion": qd.Lindblad(a.z + b.z, baths())}),
    "propagate": (qd.propagate, {"rates": RATES, "initial": [0.25] * 4, "times": [0.0, 1.0]}),
    "stationary_populations": (qd.stationary_populations, {"rates": RATES, "solver": "elimination"}),
    "slowest_decay": (qd.slowest_decay, {"motion": RATES}),
    "failures": (lambda mode: qd.failures(mode).__enter__(), {"mode": "raise"}),
    "Measurement": (qd.Measurement, {"observable": a.z, "strength": 1.0}),
    "Free": (qd.Free, {"motion": MOTION, "time": 1.0}),
    "Unitary": (qd.Unitary, {"operator": a.z @ a.z}),
    "SwapBaths": (qd.SwapBaths, {"first": "h", "second": "c"}),
    "Cycle": (qd.Cycle, {"strokes": [qd.Free(MOTION, 1.0), qd.Measurement(a.z)]}),
    "Run": (qd.Run, {"cycle": CYCLE, "initial": START}),
    "trajectories": (qd.trajectories, {"cycle": CYCLE, "key": 0, "cycles": 2, "count": 2, "initial": START}),
    "evaluate": (qd.evaluate, {"model": THREE, "figures": "force"}),
    "sweep": (
        lambda **given: qd.sweep(progress=False, **given),
        {"model": THREE, "figures": "force", "together": (), "chunk": 2, "T1": [1.0]},
    ),
    "rerun": (qd.rerun, {"path": "nothing.nc"}),
    "LambdaSystem": (lambda **given: qd.models.LambdaSystem(**given).imbalance(), {"omega1": 1.0, "distance": 1.0}),
    "stationary_density": (lambda nodes: qd.stationary_density(qd.models.ActiveParticle().drift_diffusion(), nodes), {"nodes": 512}),
    "a product": (lambda other: a.z @ other, {"other": a.z}),
    "a sum": (lambda other: a.z + other, {"other": a.z}),
    "an operator": (lambda matrix: SPACE.operator(matrix), {"matrix": np.eye(4)}),
    "a state": (lambda level: SPACE.state(a=level, b="up"), {"level": "up"}),
}
# These compile a program for each value that makes sense.
LONG = {"evolve", "correlation", "spectrum", "relax", "cumulants", "trajectories", "secular", "steady_state", "stationary_density"}
CASES = [
    pytest.param(name, argument, id=f"{name}-{argument}", marks=[pytest.mark.slow] if name in LONG else [])
    for name, (_, given) in CALLS.items()
    for argument in given
    if (name, argument) != ("propagate", "rates")  # the tests have its type checked before it is called
]


def finite(result) -> bool:
    numbers = [np.asarray(x) for x in jax.tree.leaves(result) if hasattr(x, "dtype") or isinstance(x, (float, complex))]
    return not any(np.isnan(x).any() for x in numbers if x.dtype.kind in "fc")


def own_sentence(error: Exception) -> bool:
    """Whether qdiff raised it, in words."""
    where = traceback.extract_tb(error.__traceback__)[-1].filename
    return "/qdiff/" in where.replace("\\", "/") and len(str(error)) > 10


@pytest.mark.parametrize(("name", "argument"), CASES)
@pytest.mark.filterwarnings("ignore:A JAX array is being set as static")
def test_wrong_things(name, argument):
    """Refused by qdiff in words, or taken for what they are with no NaN: fifteen of them for each argument."""
    function, given = CALLS[name]
    for what, wrong in WRONG.items():
        try:
            result = function(**{**given, argument: wrong})
        except (ValueError, TypeError, FileNotFoundError, qd.SolveError, qd.NotUnique) as error:
            assert own_sentence(error), (what, traceback.format_exception(error)[-3:])
        else:
            assert finite(result), what


def test_the_checks_can_fail():
    with pytest.raises(AssertionError):
        assert finite({"x": np.array([1.0, np.nan])})
    try:
        int("x")
    except ValueError as error:
        assert not own_sentence(error)
    assert len(CASES) * len(WRONG) > 1000
