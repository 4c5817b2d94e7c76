"""The eigenbasis where levels cross, hide in one block, are degenerate throughout, or meet in a conical point."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close, davies, derivative, flow, null_state, ohmic, random_hermitian, rates, unitary

import qdiff as qd
from qdiff.operators import structure

PAIR = qd.Space(a=qd.Spin(), b=qd.Spin())
COLD, HOT = (2.0, 0.1), (0.3, 0.2)  # (beta, strength)


def bath(which):
    return qd.BosonicBath(which[0], qd.baths.Ohmic(which[1]))


def heat(generator, name="hot"):
    return qd.heat_current(qd.steady_state(generator), name)


def reference(H, cold, hot):
    """Heat from the hot bath and the state, by brute force; couplings are dense Hermitian matrices."""
    parts = {k: davies(H, A, rates(b, ohmic(s))[0]) for k, A, (b, s) in (("cold", cold, COLD), ("hot", hot, HOT))}
    rho = null_state(unitary(H) + sum(parts.values()))
    return flow(parts["hot"], rho, H), rho


# ---- crossings ------------------------------------------------------------------------------------------


def uncoupled_pair(B1, B2, J):
    """Levels of different blocks: |up,down> and |down,up> cross at B1 = B2; J z z keeps all lines apart."""
    H = B1 * PAIR.a.z + B2 * PAIR.b.z + J * PAIR.a.z @ PAIR.b.z
    return qd.secular(H, {"cold": (PAIR.a.x, bath(COLD)), "hot": (PAIR.b.x + 0.4 * PAIR.a.x, bath(HOT))})


def hidden_pair(B1, B2, J):
    """The same system turned: one connected block, in which the levels still cross freely."""
    H = B1 * PAIR.a.x + B2 * PAIR.b.x + J * PAIR.a.x @ PAIR.b.x
    return qd.secular(H, {"cold": (PAIR.a.z, bath(COLD)), "hot": (PAIR.b.z + 0.4 * PAIR.a.z, bath(HOT))})


def exchange_pair(B1, B2, lam):
    hop = PAIR.a.plus @ PAIR.b.minus
    H = B1 * PAIR.a.z + B2 * PAIR.b.z + lam * (hop + hop.dag)
    return qd.secular(H, {"cold": (PAIR.a.x, bath(COLD)), "hot": (PAIR.b.x, bath(HOT))})


CASES = {"blocks": uncoupled_pair, "hidden": hidden_pair}


@pytest.mark.parametrize("name", sorted(CASES))
def test_derivatives_at_a_crossing_of_uncoupled_levels(name):
    """At B1 = B2 exactly: value, gradient, Hessian equal extrapolated differences through the crossing."""
    f = jax.jit(lambda x: heat(qd.structured(CASES[name])(*x)))
    x = np.array([0.8, 0.8, 0.25])
    grad = jax.jit(jax.grad(f))
    close(grad(x), derivative(f, x), 1e-8)
    close(jax.jit(jax.hessian(f))(x), derivative(grad, x), 1e-8)
    close(f(x), (f(x + [0, 1e-6, 0]) + f(x - [0, 1e-6, 0])) / 2, 1e-10)


@pytest.mark.parametrize("name", sorted(CASES))
@pytest.mark.parametrize("x", [(0.8, 0.8, 0.25), (0.8, 0.8, 0.0)])
def test_an_accidental_coincidence_is_the_limit_however_it_is_called(name, x):
    """At coinciding lines, eager floats in a structured function equal the compiled value and the limit from both sides.

    At J = 0 and B1 = B2 some entries of H vanish by accident too, which must not be taken for structure.
    """
    build = qd.structured(CASES[name])
    compiled = jax.jit(lambda x: heat(build(*x)))
    limit = [compiled(np.array(x) + [0, d, d / 3]) for d in (1e-7, -1e-7)]
    close(np.mean(limit), compiled(np.array(x)), 1e-9)
    close(heat(build(*x)), compiled(np.array(x)), 1e-10)


def test_hidden_and_open_form_are_the_same_system():
    """A rotation of the frame changes nothing: heat of both forms agree, and with brute force."""
    x = (0.8, 0.55, 0.25)
    a, b = heat(qd.structured(uncoupled_pair)(*x)), heat(qd.structured(hidden_pair)(*x))
    close(a, b, 1e-12)
    H = 0.8 * PAIR.a.z.dense() + 0.55 * PAIR.b.z.dense() + 0.25 * (PAIR.a.z @ PAIR.b.z).dense()
    want, _ = reference(H, PAIR.a.x.dense(), PAIR.b.x.dense() + 0.4 * PAIR.a.x.dense())
    close(a, want, 1e-10)


def test_derivatives_at_an_avoided_crossing_of_1e_6():
    """B1 = B2 and lam = 1e-6: derivatives in B1, B2, lam against differences on that scale (curvature 1e6, so h = 1e-8).

    With angle theta = atan2(lam, B1 - B2) the current is even in lam and smooth in (B1, B2, lam)/1e-6.
    """
    f = jax.jit(lambda y: heat(qd.structured(exchange_pair)(0.8 + 1e-6 * y[0], 0.8 + 1e-6 * y[1], 1e-6 * y[2])))
    y = np.array([0.3, 0.0, 1.0])
    got = jax.jit(jax.grad(f))(y)
    close(got, derivative(f, y, 3e-2), 1e-6)
    zero = jax.jit(jax.grad(f))(np.array([0.0, 0.0, 1.0]))
    close(zero, derivative(f, np.array([0.0, 0.0, 1.0]), 0.3), 1e-4, float(np.abs(got).max()))


def test_a_conical_point_is_no_number():
    """At B1 = B2, lam = 0 the limits differ with the direction: value and gradient are NaN, `splitting` is zero, all is well beside it."""

    def f(x):
        with qd.failures("nan"):
            generator = qd.structured(exchange_pair)(*x)
            state = qd.steady_state(generator)
            return qd.heat_current(state, "hot"), state.diagnostics()["splitting"]

    both = jax.jit(jax.value_and_grad(f, has_aux=True))
    (value, splitting), slope = both(jnp.array([0.8, 0.8, 0.0]))
    assert np.isnan(float(value)) and float(splitting) == 0.0 and np.all(np.isnan(slope))
    along = [float(both(jnp.array([0.8, 0.8, 0.0]) + 1e-6 * jnp.array(d))[0][0]) for d in ((0, 0, 1.0), (0, 1.0, 0))]
    assert along[0] > 0.05 and abs(along[1]) < 1e-9
    assert float(both(jnp.array([0.9, 0.9, 0.1]))[0][1]) > 0.01


# ---- generic blocks -------------------------------------------------------------------------------------


def blocks(seed, n, real):
    rng = np.random.default_rng(seed)
    space = qd.Space(atom=qd.Levels(n))
    parts = [random_hermitian(rng, n, real) for _ in range(2)]
    couplings = [random_hermitian(rng, n, real) for _ in range(2)]
    return space, parts, couplings


@pytest.mark.parametrize("n, real", [(3, True), (3, False), (5, False)])
@pytest.mark.parametrize("negative", [None, "odd", "drop"])
def test_generic_blocks_against_brute_force(n, real, negative):
    """Full Hermitian blocks of 3 and 5 levels, real and complex; Hermitian and rotating-wave couplings."""
    space, (H0, H1), (A, B) = blocks(11 * n + real, n, real)
    hermitian = negative is None
    if not hermitian:
        A, B = np.tril(A) + 0.1 * A, np.tril(B) + 0.2 * B
    kind = {} if hermitian else {"negative": negative}

    @qd.structured
    def build(t):
        H = space.operator(H0) + t * space.operator(H1)
        return qd.secular(H, {"cold": (space.operator(A), bath(COLD)), "hot": (space.operator(B), bath(HOT))}, **kind)

    generator = build(0.7)
    state = qd.steady_state(generator)
    H = H0 + 0.7 * H1
    parts = {}
    for k, op, (beta, s) in (("cold", A, COLD), ("hot", B, HOT)):
        down, up = rates(beta, ohmic(s))
        parts[k] = davies(H, op, down) if hermitian else davies(H, op, down, up, negative)
    rho = null_state(unitary(H) + sum(parts.values()))
    close(state.dense(), rho, 1e-11, 1.0)
    got = qd.currents(state, generator.hamiltonian)
    close([got["cold"], got["hot"]], [flow(parts[k], rho, H) for k in ("cold", "hot")], 1e-10)


def test_generic_block_derivatives():
    """First and second derivatives of a complex 3-level block, through eigenvectors, against differences."""
    space, (H0, H1), (A, B) = blocks(5, 3, False)

    @qd.structured
    def build(t, s):
        H = space.operator(H0) + t * space.operator(H1)
        return qd.secular(H, {"cold": (space.operator(A), bath(COLD)), "hot": (s * space.operator(B) + space.operator(A), bath(HOT))})

    f = jax.jit(lambda x: heat(build(*x)))
    grad, x = jax.jit(jax.grad(f)), np.array([0.7, 0.4])
    close(grad(x), derivative(f, x), 1e-8)
    close(jax.jit(jax.hessian(f))(x), derivative(grad, x), 1e-8)


# ---- degenerate throughout ------------------------------------------------------------------------------


def heisenberg(J, K, *fields):
    """Three spins, rotation symmetric where there is no field: fourfold and twofold levels in connected blocks."""
    s = qd.Space(a=qd.Spin(), b=qd.Spin(), c=qd.Spin())

    def dot(p, q):
        return p.x @ q.x + p.y @ q.y + p.z @ q.z

    H = J * dot(s.a, s.b) + K * dot(s.b, s.c)
    return s, H


def heisenberg_generator(J, K):
    s, H = heisenberg(J, K)
    baths = {"cold": (s.a.x + 0.3 * s.b.z, bath(COLD)), "hot": (s.c.z + 0.2 * s.a.x + 0.1 * s.b.y, bath(HOT))}
    return s, H, baths


def test_rotation_symmetric_chain_against_brute_force():
    """A Heisenberg triple with degenerate multiplets: state, heat, and derivatives, eager and compiled."""
    x = np.array([0.6, 0.9])

    @qd.structured
    def build(J, K):
        _, H, baths = heisenberg_generator(J, K)
        return qd.secular(H, baths)

    _, H, baths = heisenberg_generator(*x)
    want, rho = reference(H.dense(), baths["cold"][0].dense(), baths["hot"][0].dense())
    f = jax.jit(lambda x: heat(build(*x)))
    close(f(x), want, 1e-9)
    close(qd.steady_state(build(*x)).dense(), rho, 1e-10, 1.0)
    close(jax.jit(jax.grad(f))(x), derivative(f, x), 1e-8)


def test_identical_qubits_share_their_line():
    """One parameter for both qubits: lines coincide for all values, and coherence between them survives."""

    @qd.structured
    def build(B):
        H = B * (PAIR.a.z + PAIR.b.z)
        return qd.secular(H, {"cold": (PAIR.a.x + PAIR.b.x, bath(COLD)), "hot": (PAIR.a.x, bath(HOT))})

    H = 0.8 * (PAIR.a.z + PAIR.b.z).dense()
    want, rho = reference(H, (PAIR.a.x + PAIR.b.x).dense(), PAIR.a.x.dense())
    assert abs(rho[1, 2]) > 1e-3
    for generator in (build(0.8), jax.jit(build)(0.8)):
        close(qd.steady_state(generator).dense(), rho, 1e-11, 1.0)
        close(heat(generator), want, 1e-10)


# ---- things that must not be taken for structure ----------------------------------------------------------


@pytest.mark.parametrize("unit", [1e-12, 1e-24, 1e15])
def test_units_do_not_matter(unit):
    """Energies in joules or hertz: populations do not depend on the unit, eager and without decoration."""

    def populations(u):
        hop = PAIR.a.plus @ PAIR.b.minus
        H = u * (PAIR.a.z + 1.7 * PAIR.b.z + 0.3 * (hop + hop.dag))
        cold, hot = (qd.BosonicBath(b / u, qd.baths.Ohmic(s)) for b, s in (COLD, HOT))
        return qd.steady_state(qd.secular(H, {"cold": (PAIR.a.x, cold), "hot": (PAIR.b.x, hot)})).populations()

    close(populations(unit), populations(1.0), 1e-11)


@pytest.mark.parametrize("offset", [1e6, 1e9, 1e11])
def test_a_large_common_energy_does_not_hide_a_small_splitting(offset):
    """Two qubits at a high frequency, written in the body: eager and compiled see the splitting of order one."""

    def population(W, d, g):
        hop = PAIR.a.plus @ PAIR.b.minus
        H = W * (PAIR.a.up + PAIR.b.up) + d * (PAIR.a.up - PAIR.b.up) + g * (hop + hop.dag)
        cold, hot = (qd.BosonicBath(b / W, qd.baths.Ohmic(s)) for b, s in (COLD, HOT))
        generator = qd.secular(H, {"cold": (PAIR.a.minus, cold), "hot": (PAIR.b.minus, hot)})
        return qd.steady_state(generator).expect(hop + hop.dag)

    # The rates depend on d/W only, so that the state is that of W = 1e5 to 1e-5.
    want = population(1e5, 0.2, 0.3)
    close(population(offset, 0.2, 0.3), want, 1e-4)
    close(jax.jit(lambda d, g: population(offset, d, g))(0.2, 0.3), want, 1e-4)


@pytest.mark.parametrize("lowest", [-7.0, -1.3, 0.0, 5.0])
def test_the_zero_of_energy_does_not_matter(lowest):
    """Nor does it whether all energies are negative, or the highest is zero."""
    H = 0.5 * PAIR.a.z + 0.8 * PAIR.b.z + 0.1 * PAIR.a.x @ PAIR.b.x

    def hot(shift):
        couplings = {"cold": (PAIR.a.x, bath(COLD)), "hot": (PAIR.b.x, bath(HOT))}
        return heat(qd.secular(H + shift * PAIR.identity, couplings))

    close(jax.jit(hot)(lowest), hot(0.0), 1e-12)


def test_levels_that_change_order_at_negative_parameters():
    """A tilted field B(cos, sin) has levels -|B|, |B|; a line shared with a qubit of splitting B must follow its sign.

    What coincides at the positive generic parameters does not at negative ones: that is refused, and right without `structured`.
    """

    def build(B, angle):
        H = B * (jnp.cos(angle) * PAIR.a.z + jnp.sin(angle) * PAIR.a.x) + B * PAIR.b.z
        return qd.secular(H, {"cold": (PAIR.a.x + PAIR.b.x, bath(COLD)), "hot": (PAIR.b.x, bath(HOT))})

    x, z = PAIR.a.x.dense(), PAIR.a.z.dense()
    for B, tried in ((0.7, qd.structured(build)), (0.7, build), (-0.7, build)):
        H = B * (np.cos(0.4) * z + np.sin(0.4) * x + PAIR.b.z.dense())
        want = reference(H, x + PAIR.b.x.dense(), PAIR.b.x.dense())[1]
        close(qd.steady_state(tried(B, 0.4)).dense(), want, 1e-10, 1.0)
    with pytest.raises(ValueError, match="lines of bath 'cold' coincide at the generic parameters"):
        qd.structured(build)(-0.7, 0.4)


def test_secular_refuses_what_is_not_hermitian():
    """As `Lindblad` does; the lower triangle is not silently taken for the matrix."""
    with pytest.raises(ValueError, match="Hermitian"):
        qd.secular(PAIR.a.z + PAIR.a.plus, {"cold": (PAIR.a.x, bath(COLD))})


def test_secular_of_a_vanishing_hamiltonian():
    """H = 0: every element couples at zero frequency, and two baths in x and z mix the qubit completely."""
    q = qd.Space(q=qd.Spin()).q
    generator = qd.secular(0.0 * q.z, {"cold": (q.x, bath(COLD)), "hot": (q.z, bath(HOT))})
    close(qd.steady_state(generator).dense(), np.eye(2) / 2, 1e-12)


def test_secular_refuses_wrong_words_and_doubled_names():
    """A misspelt option and a bath given twice are errors that name what is wrong."""
    q = qd.Space(q=qd.Spin()).q
    with pytest.raises(ValueError, match="negative"):
        qd.secular(q.z, {"cold": (q.x, bath(COLD))}, negative="keep")
    with pytest.raises(ValueError, match="cold"):
        qd.secular(q.z, {"cold": (q.x, bath(COLD))}, {"cold": q.minus})


def test_local_jumps_beside_a_global_bath():
    """`jumps` are added as they are: the sum of a Davies and a Lindblad generator, by brute force."""
    from helpers import dissipator

    H = 0.8 * PAIR.a.z + 0.5 * PAIR.b.z + 0.3 * PAIR.a.x @ PAIR.b.x
    generator = qd.secular(H, {"hot": (PAIR.a.x, bath(HOT))}, {"leak": [(0.1, PAIR.b.minus), (0.02, PAIR.b.plus)]})
    Hd, leak = H.dense(), 0.1 * dissipator(PAIR.b.minus.dense()) + 0.02 * dissipator(PAIR.b.plus.dense())
    hot = davies(Hd, PAIR.a.x.dense(), rates(HOT[0], ohmic(HOT[1]))[0])
    rho = null_state(unitary(Hd) + hot + leak)
    state = qd.steady_state(generator)
    close(state.dense(), rho, 1e-11, 1.0)
    got = qd.currents(state, generator.hamiltonian)
    close([got["hot"], got["leak"]], [flow(hot, rho, Hd), flow(leak, rho, Hd)], 1e-10)


# ---- levels of one block that cross, because what forbids them to repel depends on the parameters -----------


def tilted_pair(B1, B2, J, one, two):
    """Two qubits in fields of different directions, coupled along them: one block for all parameters, no repulsion."""
    along1 = jnp.cos(one) * PAIR.a.z + jnp.sin(one) * PAIR.a.x
    along2 = jnp.cos(two) * PAIR.b.z + jnp.sin(two) * PAIR.b.x
    H = B1 * along1 + B2 * along2 + J * along1 @ along2
    return H, PAIR.a.x, PAIR.b.x + 0.4 * PAIR.a.x @ PAIR.b.z


def tilted_generator(*x):
    H, cold, hot = tilted_pair(*x)
    return qd.secular(H, {"cold": (cold, bath(COLD)), "hot": (hot, bath(HOT))}, {"leak": (0.05, PAIR.b.minus)})


@pytest.mark.parametrize("decorated", [True, False])
def test_entries_that_vanish_at_the_generic_parameters_only(decorated):
    """Either order of the two fields, at random points: state, heat, and an observable, against brute force.

    Which entries of the couplings vanish between sorted levels depends on that order, which the generic copies do not know.
    """
    build = qd.structured(tilted_generator) if decorated else tilted_generator

    @jax.jit
    def f(x):
        generator = build(*x)
        state = qd.steady_state(generator)
        return (
            state.dense(),
            qd.heat_current(state, "hot"),
            state.expect(PAIR.a.x),
            qd.currents(state, PAIR.b.x)["leak"],
        )

    from helpers import dissipator

    rng = np.random.default_rng(2)
    for k in range(12):
        x = rng.uniform(0.2, 1.2, 5)
        x[:2] = np.sort(x[:2] + [0.0, 0.1])[:: 1 if k % 2 else -1]
        H, cold, hot = (op.dense() for op in tilted_pair(*x))
        parts = {k: davies(H, A, rates(b, ohmic(s))[0]) for k, A, (b, s) in (("cold", cold, COLD), ("hot", hot, HOT))}
        parts["leak"] = 0.05 * dissipator(PAIR.b.minus.dense())
        want = null_state(unitary(H) + sum(parts.values()))
        rho, heat_, mean, drift = f(x)
        close(rho, want, 1e-9, 1.0)
        close(heat_, flow(parts["hot"], want, H), 1e-9, 0.1)
        close(mean, np.trace(PAIR.a.x.dense() @ want).real, 1e-9, 1.0)
        close(drift, flow(parts["leak"], want, PAIR.b.x.dense()), 1e-9, 0.1)


@pytest.mark.parametrize("drawn", [12, 30, 36, 41])
def test_whatever_the_generic_numbers_are(drawn, monkeypatch):
    """Three levels that cross freely stand in one of six orders: the copies need not have the one that is asked for."""
    monkeypatch.setattr(structure, "_count", itertools.count(drawn))
    f = jax.jit(lambda x: qd.steady_state(tilted_generator(*x)).dense())
    from helpers import dissipator

    for fields in itertools.permutations((0.45, 0.63, 0.76)):
        x = (*fields, 0.87, 0.62)
        H, cold, hot = (op.dense() for op in tilted_pair(*x))
        parts = [davies(H, A, rates(b, ohmic(s))[0]) for A, (b, s) in ((cold, COLD), (hot, HOT))]
        close(f(x), null_state(unitary(H) + sum(parts) + 0.05 * dissipator(PAIR.b.minus.dense())), 1e-11, 1.0)


def test_derivatives_beside_such_a_crossing():
    """At a distance of 0.1 on both sides: gradient and Hessian against differences."""
    f = jax.jit(lambda x: heat(qd.structured(tilted_generator)(*x)))
    grad, hessian = jax.jit(jax.grad(f)), jax.jit(jax.hessian(f))
    for x in ((0.8, 0.7, 0.25, 0.4, 0.9), (0.7, 0.8, 0.25, 0.4, 0.9)):
        x = np.array(x)
        close(grad(x), derivative(f, x), 1e-8)
        close(hessian(x), derivative(grad, x), 1e-7)
