"""A state in any of its forms, to everything that takes one: the same number for all, and the same refusals.

The right values: NumPy on dense matrices.
"""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg
from helpers import close, dissipator, unitary

import qdiff as qd

SPACE = qd.Space(q=qd.Spin())
Q = SPACE.q
KET = np.array([0.8, 0.6j])
RHO = np.outer(KET, KET.conj())
DECAY = qd.Lindblad(Q.z, {"v": (0.3, Q.minus)})
DEPHASED = qd.Lindblad(Q.z, {"d": (0.3, Q.z)})
CYCLE = qd.cycles.Cycle([qd.cycles.Free(DECAY, 1.0), qd.cycles.Measurement(Q.z)])
L = unitary(np.diag([1.0, -1.0])) + 0.3 * dissipator([[0, 0], [1, 0]])
LATER = (scipy.linalg.expm(1.5 * L) @ RHO.ravel()).reshape(2, 2)

FORMS = {
    "an operator": SPACE.operator(RHO),
    "a matrix without a space": qd.Operator.from_dense(RHO),
    "an array": RHO,
    "a JAX array": jnp.asarray(RHO),
    "a list of lists": RHO.tolist(),
    "a ket": KET,
    "a list": KET.tolist(),
    "a mapping": {"q": KET},
    "a mapping to a matrix": {"q": RHO},
    "a snapshot": qd.evolve(DECAY, RHO, [0.0])[0],
    "a stationary state": qd.steady_state(qd.Lindblad(0 * Q.z, {}), initial=RHO),
}


def lowered(H, rho):
    """Tr[H rho] less its least value over all unitaries."""
    return np.trace(H @ rho).real - np.sort(np.linalg.eigvalsh(rho))[::-1] @ np.sort(
        np.linalg.eigvalsh(H)
    )


Z, X = Q.z.dense(), Q.x.dense()
FIELD = Q.z + 0.5 * Q.x
H = FIELD.dense()
# what -> (a function of the state, the right value for RHO)
TAKES = {
    "steady_state": (lambda s: qd.steady_state(DEPHASED, initial=s).dense(), np.diag(np.diag(RHO))),
    "relax": (lambda s: qd.relax(DECAY, s, tolerance=1e-2).final.dense(), np.diag([0.0, 1.0])),
    "evolve": (lambda s: qd.evolve(DECAY, s, [1.5]).dense()[0], LATER),
    "at any time": (lambda s: qd.evolve(DECAY, s, [0.5], states=False).at(1.5).dense(), LATER),
    "correlation": (
        lambda s: qd.correlation(DECAY.state(s), Q.x, Q.z, [1.5])[0],
        np.trace(X @ (scipy.linalg.expm(1.5 * L) @ (Z @ RHO).ravel()).reshape(2, 2)),
    ),
    "currents": (
        lambda s: qd.current(DECAY.state(s), FIELD, "v"),
        np.trace(H @ (0.3 * dissipator([[0, 0], [1, 0]]) @ RHO.ravel()).reshape(2, 2)).real,
    ),
    "ledger": (lambda s: qd.ledger(DECAY.state(s)).heat["v"], -0.3 * RHO[0, 0].real * 2),
    "cumulants": (lambda s: qd.cumulants(DECAY.state(s), "v", [1.0], order=2)[0] + 1.0, 1.0),
    "ergotropy": (lambda s: qd.thermo.ergotropy(s, FIELD), lowered(H, RHO)),
    "free_energy": (lambda s: qd.thermo.free_energy(s, FIELD, 0.3), np.trace(H @ RHO).real),
    "Cycle.evolve": (lambda s: CYCLE.evolve(s).rho(0).dense(), RHO),
    "trajectories": (lambda s: qd.cycles.trajectories(CYCLE, 0, 1, 64, s).given[0, 0] + 1.0, 1.0),
    "entropy_production": (
        lambda s: qd.entropy_production(DECAY.state(s), {"v": np.diag([0.2, 0.8])}),
        0.3 * RHO[0, 0].real * (np.log(0.8) - np.log(0.2)),
    ),
}


@pytest.mark.parametrize("what", TAKES)
def test_every_form_gives_the_same(what):
    function, want = TAKES[what]
    for name, form in FORMS.items():
        if name == "a snapshot" and what not in (
            "currents",
            "ledger",
            "correlation",
            "cumulants",
            "entropy_production",
        ):
            form = qd.evolve(DEPHASED, RHO, [0.0])[
                0
            ]  # a state of another generator is a state, too
        if name == "a stationary state" and what in (
            "currents",
            "ledger",
            "correlation",
            "cumulants",
            "entropy_production",
        ):
            form = form.rho
        close(function(form), want, 1e-12, 1.0)


def test_entropy_of_every_form():
    """Of the pure state zero; what is no array needs a space for its factors."""
    for name, form in FORMS.items():
        if not name.startswith("a mapping"):
            assert abs(float(qd.thermo.entropy(form))) < 1e-14, name
    with pytest.raises(
        ValueError, match="rho can be a mapping only if the operators act on a Space"
    ):
        qd.thermo.entropy({"q": "up"})


NO_STATES = {
    "a trace of two": (np.eye(2), "have trace one, but has trace 2"),
    "a skew matrix": (
        np.array([[0.5, 0.2], [0.0, 0.5]]),
        "be Hermitian, but differs from its adjoint by 0.2",
    ),
    "a negative population": (np.diag([1.5, -0.5]), "be positive, but has the eigenvalue -0.5"),
    "a coherence too large": (
        np.array([[0.5, 0.6], [0.6, 0.5]]),
        "be positive, but has the eigenvalue -0.1",
    ),
    "no number": (np.diag([np.nan, 1.0]), "be finite"),
    "nothing": (0 * Q.z, "have trace one, but is zero"),
    "three levels": (
        np.eye(3) / 3,
        r"have shape \(2, 2\) for a density matrix or \(2,\) for a ket, but has shape \(3, 3\)",
    ),
    "a word": ("up", "be a state"),
    "a mapping of numbers": ({0: "up"}, r"map the names of factors to their states, but has \[0\]"),
    "another space": (qd.Space(r=qd.Spin()).r.up, r"act on Space\(q="),
}


@pytest.mark.parametrize("wrong", NO_STATES)
def test_no_state_is_refused_by_all(wrong):
    """In one sentence with the argument's name, and what it was."""
    given, said = NO_STATES[wrong]
    for function, _ in TAKES.values():
        with pytest.raises(
            (ValueError, TypeError), match=rf"^(initial|state|rho) must {said}"
        ) as caught:
            function(given)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "what", ["steady_state", "evolve", "at any time", "correlation", "free_energy", "ergotropy", "currents", "Cycle.evolve"]
)
def test_traced_numbers_are_checked_when_they_are_known(what):
    """In a compiled function: NaN in a batch, else the same sentence; and a good state is no different for it."""
    function = TAKES[what][0]

    def read(p):
        return jnp.sum(jnp.abs(function(jnp.array([[p, 0.1], [0.1, 1 - p]]))))

    with qd.failures("nan"):
        found = jax.jit(jax.vmap(read))(jnp.array([0.3, 1.2]))
    close(found[0], read(0.3), 1e-12)
    assert np.isnan(found[1])
    with pytest.raises(
        Exception, match="(initial|state|rho) must be positive, but has an eigenvalue below"
    ):
        jax.block_until_ready(jax.jit(read)(1.2))


def test_a_list_of_traced_numbers_and_a_known_state_that_is_none():
    """A list of numbers is an array, traced or not; with `failures("nan")` a known matrix that is no state gives NaN."""
    entropy = jax.jit(lambda p: qd.thermo.entropy([[p, 0.0], [0.0, 1 - p]]))(0.3)
    close(entropy, -0.3 * np.log(0.3) - 0.7 * np.log(0.7), 1e-14)
    with qd.failures("nan"):
        assert np.isnan(qd.thermo.entropy(np.diag([1.5, -0.5])))


def test_states_of_loose_solvers_are_states():
    """Of an `Explicit` run: eigenvalues of -1e-9 and so on are its own, and neither its entropy nor going on from it is refused."""
    run = qd.evolve(qd.Lindblad(Q.z + Q.x, {}), {"q": "up"}, [40.0], solver=qd.solvers.Explicit())
    assert abs(float(qd.thermo.entropy(run[0].rho))) < 1e-5
    further = qd.evolve(qd.Lindblad(Q.z + Q.x, {}), run[0], [2.0])
    psi = scipy.linalg.expm(-42j * np.array([[1, 1], [1, -1]]))[:, 0]
    close(further.dense()[0], np.outer(psi, psi.conj()), 1e-6, 1.0)


def test_states_of_a_generator_with_other_numbers():
    """After a quench of the Hamiltonian under the same bath: its currents, by the elements that the state has."""
    before = qd.steady_state(qd.Lindblad(Q.z + 0.7 * Q.x, {"v": (0.3, Q.minus)}))
    rho = np.asarray(before.dense())
    assert abs(rho[0, 1]) > 0.05
    want = np.trace(X @ (0.3 * dissipator([[0, 0], [1, 0]]) @ rho.ravel()).reshape(2, 2)).real
    close(qd.current(DECAY.state(before), Q.x, "v"), want, 1e-13)
    with pytest.raises(
        ValueError,
        match=r"state must be a state of this generator \(baths \('d',\)\).* give its density matrix, state.rho",
    ):
        qd.currents(DEPHASED.state(before), Q.x)
    close(qd.current(DEPHASED.state(before.rho), Q.x, "d"), -2 * 0.3 * np.trace(X @ rho).real, 1e-13)


def test_a_reference_is_a_state_as_well():
    with pytest.raises(ValueError, match="reference must have trace one, but has trace 2"):
        qd.cycles.Cycle([qd.cycles.Free(DECAY, 1.0)], reference=np.eye(2), disturbing=["v"])
