"""The verbs act on every equation alike, and what comes back knows its generator."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close

import qdiff as qd

Q = qd.Space(q=qd.Spin()).q
GAMMA, N = 0.3, 0.25


def thermal(gamma=GAMMA, n=N):
    """A qubit whose population of "up" relaxes to n/(2 n + 1) at the rate gamma (2 n + 1)."""
    return qd.Lindblad(0.5 * Q.z, {"bath": [qd.Jump(gamma * (n + 1), Q.minus, energy=-1.0), qd.Jump(gamma * n, Q.plus, energy=1.0)]})


def up(t, start):
    rest, rate = N / (2 * N + 1), GAMMA * (2 * N + 1)
    return rest + (start - rest) * np.exp(-rate * np.asarray(t))


CYCLE = qd.cycles.Cycle([qd.cycles.Free(thermal(), 1.0), qd.cycles.Measurement(Q.z)])
BLOCH = qd.bloch.BlochModel(lambda k, p: (jnp.diag(jnp.array([k, 0.0])), [(0.1, jnp.array([[0.0, 1.0], [0.0, 0.0]]))]))
CHANNELS = qd.channels.Channels({"bath": 1.0}, lambda b, e: {"bath": qd.channels.Channel(tilt=b * e)}, jnp.linspace(-1, 1, 5), 2.0)
RATES = qd.rates.Rates([0.0, 1.0], {"bath": [(1, 0, GAMMA * (N + 1)), (0, 1, GAMMA * N)]})


@pytest.mark.parametrize(
    ("found", "want"),
    [
        (lambda: qd.steady_state(thermal()).populations()[0], up(np.inf, 0)),
        (lambda: qd.steady_state(RATES)[1], up(np.inf, 0)),
        (lambda: qd.steady_state(CYCLE).expect(Q.up), up(np.inf, 0)),  # the populations are what is measured
        (lambda: qd.steady_state(BLOCH, jnp.array([0.5]))[0, 0, 0].real, 1.0),
        (lambda: qd.steady_state(CHANNELS, 0.5).occupations()[0], 1 / (1 + np.exp(-2.0))),
        (lambda: qd.evolve(thermal(), {"q": "up"}, jnp.array([2.0]), expect=Q.up).expectations[0], up(2.0, 1)),
        (lambda: qd.evolve(lambda t: thermal(), {"q": "up"}, jnp.array([2.0]), expect=Q.up).expectations[0], up(2.0, 1)),
        (lambda: qd.evolve(RATES, [0.0, 1.0], [2.0])[0, 1], up(2.0, 1)),
        (lambda: qd.evolve(CYCLE, {"q": "up"}).rho(2).diagonal()[0].real, up(2.0, 1)),
        (lambda: qd.relax(thermal()).gap, GAMMA * (2 * N + 1)),  # of the populations: no coherence is reached
        (lambda: qd.relax(RATES), GAMMA * (2 * N + 1)),
    ],
)
def test_each_verb_on_each_equation(found, want):
    """Against closed forms of one qubit."""
    close(found(), want, 1e-12)


def test_currents_of_an_evolution_are_those_at_its_times():
    """The heat is the rate at which the energy, that of the population, grows; the ledger balances it."""
    times = np.array([0.0, 0.5, 3.0])
    run = qd.evolve(thermal(), {"q": "up"}, times)
    want = -GAMMA * (2 * N + 1) * (up(times, 1) - up(np.inf, 0))
    close(qd.heat_current(run, "bath"), want, 1e-12)
    close(qd.currents(run, Q.up)["bath"], want, 1e-12)
    close(qd.current(run, Q.up, "bath"), want, 1e-12)
    close(qd.ledger(run).imbalance, want, 1e-12)
    assert qd.heat_current(run, "bath").shape == (3,)

    def heat(gamma):
        return qd.heat_current(qd.evolve(thermal(gamma), {"q": "up"}, times), "bath")

    rate, rest = 2 * N + 1, N / (2 * N + 1)
    slope = -rate * (1 - rest) * (1 - GAMMA * rate * times) * np.exp(-GAMMA * rate * times)
    close(jax.jit(jax.jacfwd(heat))(GAMMA), slope, 1e-11)
    close(jax.jit(jax.jacrev(heat))(GAMMA), slope, 1e-11)
    close(jax.vmap(heat)(jnp.array([GAMMA, 2 * GAMMA]))[0], want, 1e-12)
    with pytest.raises(ValueError, match="the states were not kept: evolve with states=True"):
        qd.heat_current(qd.evolve(thermal(), {"q": "up"}, times, states=False), "bath")
    with pytest.raises(ValueError, match=r"bath must be one of \['bath'\], but was 'bth'"):
        qd.heat_current(run, "bth")


def test_any_state_can_be_asked():
    """Of a density matrix, a mapping, and a state of another generator with the same baths: always with this one's numbers."""
    other = qd.steady_state(thermal(n=2.0))
    for given, p in (({"q": "down"}, 0.0), (np.diag([0.4, 0.6]), 0.4), (other, 0.4)):
        close(qd.heat_current(thermal().state(given), "bath"), -GAMMA * (2 * N + 1) * (p - up(np.inf, 0)), 1e-12)
    state = qd.steady_state(thermal())
    assert state.generator.state(state) is state

    def heat(n):
        """What the state of n = 2 takes from a bath of n, in which only the bath is differentiated."""
        return qd.heat_current(thermal(n=n).state(other), "bath")

    close(jax.jit(jax.grad(heat))(N), GAMMA * (1 - 2 * 0.4), 1e-12)
    close(jax.vmap(heat)(jnp.array([N, 2.0])), [heat(N), 0.0], 1e-12, 1.0)


def test_what_is_no_generator():
    """One sentence: what it must be, and what it was."""
    with pytest.raises(TypeError, match=r"generator must be one such as Lindblad\(...\), but was Operator"):
        qd.steady_state(Q.z)
    with pytest.raises(TypeError, match=r"generator must be one such as Lindblad\(...\) or a function of time, but was Operator"):
        qd.evolve(Q.z, {"q": "up"}, [1.0])
    with pytest.raises(TypeError, match="generator must return an equation such as Lindblad\\(...\\) at each time, but returned Operator"):
        qd.evolve(lambda t: t * Q.z, {"q": "up"}, [1.0])
    with pytest.raises(TypeError, match="generator must be an equation with a method `relax`: BlochModel has no relaxation to solve for"):
        qd.relax(BLOCH)
    with pytest.raises(TypeError, match="Rates cannot depend on time"):
        qd.evolve(lambda t: RATES, [0.0, 1.0], [1.0])
    with pytest.raises(TypeError, match="unexpected keyword argument 'solvr'"):
        qd.steady_state(thermal(), solvr=None)
    for ask in (lambda x: qd.heat_current(x, "bath"), lambda x: qd.cumulants(x, "bath"), lambda x: qd.entropy_production(x, {"bath": 1.0})):
        with pytest.raises(TypeError, match="state must come from `steady_state`, `evolve` .*generator.state.*but was Lindblad"):
            ask(thermal())


def test_a_function_of_no_lindblad():
    """Where the equation's own method is called, it says so itself."""
    with pytest.raises(TypeError, match=r"generator must return an equation such as Lindblad\(...\) at each time, but returned Operator"):
        qd.Lindblad.evolve_varying(lambda t: t * Q.z, {"q": "up"}, [1.0])


def test_shapes_of_equations():
    """How many states, momenta, bands and hops there are."""
    hops = qd.momentum.Scattering(np.ones((5, 2, 2, 8)))
    assert (hops.size, hops.bands, hops.reach) == (8, 2, 2) and RATES.size == 2
