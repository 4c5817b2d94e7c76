"""Every argument of the public functions replaced by fifteen wrong things: a sentence of qdiff's own, or a finite result."""

import linecache
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


GENERATOR = qd.Lindblad(H, baths())
STATE = qd.steady_state(GENERATOR)
RATES = qd.rates.pauli(qd.Lindblad(a.z + b.z, baths()))
CYCLE = qd.cycles.Cycle([qd.cycles.Free(GENERATOR, 1.0), qd.cycles.Measurement(a.z)])
THREE = qd.models.LambdaSystem()


class Hill(qd.Model):
    """One hill, of which every program is compiled in no time."""

    x: float = qd.parameter(0.1)
    y: float = qd.parameter(0.2, low=0)

    @qd.merit(symbol="h", unit="1", source="none")
    def height(self):
        """Height of the hill."""
        return 1 - (self.x - 0.25) ** 2 + self.y


HILL, BOX, FEW = Hill(), {"x": (-1, 1)}, {"starts": 2, "steps": 2}
LEAD = qd.FermionicLead(1.0, 0.0, 1.0)
DOT = qd.Space(dot=qd.Fermions("up")).dot
CHANNELS = qd.channels.Channels(
    {"bath": 1.0}, lambda beta, energies: {"bath": qd.channels.Channel(tilt=beta * energies)}, np.linspace(-1, 1, 5), 2.0
)
RING = qd.momentum.DriftDiffusion(lambda k: jax.numpy.sin(k), lambda k: 1 + 0 * k)
CELLS = qd.momentum.finite_volumes(RING, 8)
HOPS = qd.momentum.Scattering(np.ones((3, 1, 1, 8)))
BLOCH = qd.bloch.BlochModel(lambda k, p: (k * np.eye(2), [(1.0, np.array([[0.0, 1.0], [0.0, 0.0]]))]))
# name -> (function, its arguments as they should be). What takes arguments beyond a few words is wrapped.
CALLS = {
    "Boson": (qd.Boson, {"levels": 3}),
    "Rotor": (qd.Rotor, {"l_min": -1, "l_max": 2}),
    "Levels": (lambda first: qd.Levels(first, "e"), {"first": "g"}),
    "Fermions": (lambda first: qd.Fermions(first), {"first": "up"}),
    "Space": (lambda factor: qd.Space(s=factor), {"factor": qd.Spin()}),
    "BosonicBath": (qd.BosonicBath, {"beta": 1.0, "spectrum": 0.1}),
    "Flat": (qd.baths.Flat, {"rate": 0.1}),
    "Ohmic": (qd.baths.Ohmic, {"strength": 0.1, "cutoff": 2.0}),
    "FermionicLead": (qd.FermionicLead, {"beta": 1.0, "mu": 0.0, "rate": 1.0, "spin_potential": 0.0}),
    "GivenLead": (qd.baths.GivenLead, {"into": 1.0, "out_of": 1.0}),
    "thermal_jumps": (qd.thermal_jumps, {"lower": a.minus, "omega": 1.0, "bath": bath()}),
    "Lindblad": (qd.Lindblad, {"H": H, "jumps": {"h": [(0.1, a.minus)]}}),
    "a jump": (lambda rate, operator: qd.Lindblad(H, {"h": [(rate, operator)]}), {"rate": 0.1, "operator": a.minus}),
    "secular": (qd.secular, {"H": H, "couplings": {"h": (a.x, bath())}, "negative": "odd"}),
    "Rates": (qd.rates.Rates, {"energies": [0.0, 1.0], "jumps": {"h": qd.rates.thermal_transitions(0, 1, 1.0, bath())}}),
    "steady_state": (qd.steady_state, {"generator": GENERATOR, "solver": None, "initial": None}),
    "current": (qd.current, {"state": STATE, "observable": H, "bath": "h"}),
    "currents": (qd.currents, {"state": STATE, "observable": H}),
    "heat_current": (qd.heat_current, {"state": STATE, "bath": "h"}),
    "ledger": (qd.ledger, {"state": STATE, "H0": None}),
    "entropy": (qd.thermo.entropy, {"rho": STATE.rho}),
    "free_energy": (qd.thermo.free_energy, {"rho": STATE.rho, "H": H, "T": 1.0}),
    "ergotropy": (qd.thermo.ergotropy, {"rho": STATE.rho, "H": H}),
    "gibbs": (qd.thermo.gibbs, {"H": H, "beta": 1.0}),
    "evolve": (qd.evolve, {"generator": GENERATOR, "initial": np.eye(4) / 4, "times": [0.0, 1.0], "solver": None, "start": 0.0}),
    "correlation": (qd.correlation, {"state": STATE, "A": a.z, "B": a.z, "times": [0.0, 1.0]}),
    "spectrum": (qd.spectrum, {"state": STATE, "A": a.z, "B": a.z, "omegas": [0.0, 1.0]}),
    "zero_frequency_noise": (qd.zero_frequency_noise, {"state": STATE, "A": a.z, "B": None}),
    "cumulants": (qd.cumulants, {"state": STATE, "bath": "h", "of": "energy", "order": 2}),
    "relax": (qd.relax, {"generator": GENERATOR, "initial": None, "count": 4, "tolerance": 1e-3}),
    "Lindblad.state": (GENERATOR.state, {"given": START}),
    "pauli": (qd.rates.pauli, {"generator": qd.Lindblad(a.z + b.z, baths())}),
    "Rates.evolve": (RATES.evolve, {"initial": [0.25] * 4, "times": [0.0, 1.0]}),
    "Rates.steady_state": (RATES.steady_state, {"solver": "elimination"}),
    "slowest_decay": (qd.rates.slowest_decay, {"generator": RATES}),
    "failures": (lambda mode: qd.failures(mode).__enter__(), {"mode": "raise"}),
    "Measurement": (qd.cycles.Measurement, {"observable": a.z, "strength": 1.0}),
    "Free": (qd.cycles.Free, {"generator": GENERATOR, "time": 1.0}),
    "Unitary": (qd.cycles.Unitary, {"operator": a.z @ a.z}),
    "SwapBaths": (qd.cycles.SwapBaths, {"first": "h", "second": "c"}),
    "Cycle": (qd.cycles.Cycle, {"strokes": [qd.cycles.Free(GENERATOR, 1.0), qd.cycles.Measurement(a.z)]}),
    "Cycle.evolve": (CYCLE.evolve, {"initial": START}),
    "trajectories": (qd.cycles.trajectories, {"cycle": CYCLE, "key": 0, "cycles": 2, "count": 2, "initial": START}),
    "evaluate": (qd.evaluate, {"model": THREE, "merits": "force"}),
    "sweep": (
        lambda **given: qd.sweep(progress=False, **given),
        {"model": THREE, "merits": "force", "together": (), "chunk": 2, "T1": [1.0]},
    ),
    "rerun": (qd.rerun, {"path": "nothing.nc"}),
    "LambdaSystem": (lambda **given: qd.models.LambdaSystem(**given).imbalance(), {"omega1": 1.0, "distance": 1.0}),
    "DriftDiffusion.steady_state": (lambda nodes: qd.models.ActiveParticle().drift_diffusion().steady_state(nodes), {"nodes": 512}),
    "bose": (qd.baths.bose, {"x": 1.0}),
    "fermi": (qd.baths.fermi, {"x": 1.0}),
    "lead_jumps": (qd.lead_jumps, {"annihilator": DOT.up, "energy": 1.0, "lead": LEAD, "spin": 0}),
    "thermal_transitions": (qd.rates.thermal_transitions, {"low": 0, "high": 1, "omega": 1.0, "bath": bath()}),
    "Jump": (lambda **given: qd.Lindblad(H, {"h": [qd.Jump(**given)]}), {"rate": 0.1, "operator": a.minus, "energy": 1.0}),
    "Custom": (lambda function: qd.BosonicBath(1.0, qd.baths.Custom(function)), {"function": lambda omega: omega}),
    "Explicit": (qd.solvers.Explicit, {"rtol": 1e-8, "atol": 1e-10, "gradient": "reverse", "max_steps": 10, "max_step": 0.5}),
    "Stiff": (qd.solvers.Stiff, {"rtol": 1e-8, "atol": 1e-10, "gradient": "reverse", "max_steps": 10, "max_step": 0.5}),
    "Action": (qd.solvers.Action, {"gradient": "reverse", "max_steps": 10}),
    "entropy_production": (qd.entropy_production, {"state": STATE, "fixed_points": {"h": STATE.rho, "c": STATE.rho}}),
    "fano_factor": (qd.thermo.fano_factor, {"mean": 1.0, "noise": 1.0}),
    "uncertainty_ratio": (qd.thermo.uncertainty_ratio, {"mean": 1.0, "noise": 1.0, "entropy_production": 1.0}),
    "Channels": (qd.channels.Channels, {"rates": {"bath": 1.0}, "weights": CHANNELS.weights, "modes": np.linspace(-1, 1, 5)}),
    "Channels.steady_state": (CHANNELS.steady_state, {"filling": 0.5}),
    "Channels.evolve": (CHANNELS.evolve, {"initial": [0.5] * 5, "times": [0.0, 1.0], "solver": None}),
    "DriftDiffusion": (qd.momentum.DriftDiffusion, {"slope": RING.slope, "resistance": RING.resistance, "kinks": ()}),
    "finite_volumes": (qd.momentum.finite_volumes, {"equation": RING, "cells": 8}),
    "FiniteVolumes.evolve": (CELLS.evolve, {"initial": [0.125] * 8, "times": [0.0, 1.0]}),
    "Scattering": (qd.momentum.Scattering, {"rate": np.ones((3, 1, 1, 8))}),
    "Scattering.driven": (HOPS.driven, {"source": np.ones((1, 8)) - np.eye(8)[:1] * 8}),
    "Scattering.evolve": (HOPS.evolve, {"initial": np.ones((1, 8)) / 8, "times": [0.0, 1.0], "method": None}),
    "BlochModel": (qd.bloch.BlochModel, {"function": BLOCH.function}),
    "BlochModel.steady_state": (BLOCH.steady_state, {"k": [0.0, 1.0]}),
    "BlochModel.steady_velocity": (BLOCH.steady_velocity, {"k": [0.0, 1.0]}),
    "BlochModel.mean_velocity": (BLOCH.mean_velocity, {"k": [0.0, 1.0], "log_weight": lambda k, p: 0 * k, "chunk": None}),
    "replay": (qd.cycles.replay, {"cycle": CYCLE, "uniforms": [0.5, 0.5], "initial": START}),
    "a parameter": (lambda **given: _declared(qd.parameter(0.0, **given)), {"unit": "1", "text": "", "low": -1.0, "high": 1.0}),
    "a setting": (lambda **given: _declared(qd.setting(1, **given)), {"text": "", "choices": (1, 2), "low": 0, "high": 2}),
    "fisher_information": (qd.fisher_information, {"model": HILL, "measured": {"height": 0.1}, "parameters": ["x"]}),
    "sensitivity": (
        qd.sensitivity,
        {"model": HILL, "merit": "height", "parameters": ["x"], "uncertainty": {"x": 0.1}, "samples": 8, "seed": 0},
    ),
    "optimize": (
        lambda **given: qd.optimize(**{**FEW, **given}),
        {"model": HILL, "merit": "height", "over": BOX, "ties": {}, "constraints": (), "minimize": False, "seed": 0}
        | {"starts": 2, "steps": 2, "optimizer": "adam", "polish": "newton", "resume": False},
    ),
    "tradeoff": (
        lambda **given: qd.tradeoff(**{**FEW, "weights": 2, **given}),
        {"model": HILL, "merit": "height", "other": "-height", "over": BOX, "ties": {}, "constraints": (), "seed": 0}
        | {"starts": 2, "steps": 2, "weights": 2, "optimizer": "adam", "resume": False},
    ),
    "a preset": (lambda name: qd.models.SpintronicEngine.preset(name), {"name": "fig6"}),
    "a replacement": (lambda x: HILL.replace(x=x), {"x": 1.0}),
    "a product": (lambda other: a.z @ other, {"other": a.z}),
    "a sum": (lambda other: a.z + other, {"other": a.z}),
    "an operator": (lambda matrix: SPACE.operator(matrix), {"matrix": np.eye(4)}),
    "a state": (lambda level: SPACE.state(a=level, b="up"), {"level": "up"}),
}
# The tests have their types checked before they are called.
TYPED = {("bose", "x"), ("fermi", "x")}
# Arithmetic, in which what failed before stays NaN.
ARITHMETIC = {"fano_factor", "uncertainty_ratio"}
CASES = [
    pytest.param(name, argument, id=f"{name}-{argument}")
    for name, (_, given) in CALLS.items()
    for argument in given
    if (name, argument) not in TYPED
]


def _declared(field):
    """A model with one parameter or setting that is declared so."""
    return type("Declared", (qd.Model,), {"__annotations__": {"x": float}, "x": field, "__module__": __name__})()


def finite(result) -> bool:
    numbers = [np.asarray(x) for x in jax.tree.leaves(result) if hasattr(x, "dtype") or isinstance(x, (float, complex))]
    return not any(np.isnan(x).any() for x in numbers if x.dtype.kind in "fc")


def own_sentence(error: Exception) -> bool:
    """Whether qdiff raised it, in words."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    raised = (frame.line or "").startswith("raise ") or linecache.getline(frame.filename, frame.lineno - 1).strip().startswith("raise ")
    return "/qdiff/" in frame.filename.replace("\\", "/") and raised and len(str(error)) > 10


@pytest.mark.parametrize(("name", "argument"), CASES)
@pytest.mark.filterwarnings("ignore:A JAX array is being set as static")
def test_wrong_things(name, argument, counted):
    """Refused by qdiff in words, or taken for what they are with no NaN: fifteen of them for each argument."""
    function, given = CALLS[name]
    for what, wrong in WRONG.items():
        try:
            result = function(**{**given, argument: wrong})
        except (ValueError, TypeError, FileNotFoundError, qd.SolveError, qd.NotUnique) as error:
            assert own_sentence(error), (what, traceback.format_exception(error)[-3:])
        else:
            assert finite(result) or name in ARITHMETIC, what
        counted("abuse cases")


def test_the_checks_can_fail():
    with pytest.raises(AssertionError):
        assert finite({"x": np.array([1.0, np.nan])})
    try:
        int("x")
    except ValueError as error:
        assert not own_sentence(error)
    assert len(CASES) * len(WRONG) > 1000
