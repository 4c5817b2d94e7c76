"""Time evolution: all solvers against QuTiP and each other, what goes in, what comes out, and what is refused."""

import inspect
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import qutip as qt
from helpers import close, dissipator, random_hermitian, unitary
from scipy.linalg import expm

import qdiff as qd

DIMS = (2, 2, 6)


def space_of(dims):
    return qd.Space(left=qd.Spin(), right=qd.Spin(), mode=qd.Boson(dims[2]))


def random_device(seed, dims=DIMS):
    """A random H, three random jumps with rates, and a random state of full rank, as dense matrices."""
    rng = np.random.default_rng(seed)
    d = int(np.prod(dims))
    jumps = [rng.normal(size=(d, d)) + 1j * rng.normal(size=(d, d)) for _ in range(3)]
    root = rng.normal(size=(d, d)) + 1j * rng.normal(size=(d, d))
    rho = root @ root.conj().T
    return random_hermitian(rng, d), [(r, A / np.sqrt(d)) for r, A in zip((0.3, 0.1, 0.02), jumps, strict=True)], rho / np.trace(rho)


def generator_of(space, H, jumps):
    return qd.Lindblad(space.operator(H), {"bath": [(r, space.operator(A)) for r, A in jumps]})


def local_device(seed, dims=DIMS):
    """A device of local parts with an exchange between them: a sector smaller than the whole space."""
    rng = np.random.default_rng(seed)
    s = space_of(dims)
    w, g, k = rng.uniform(0.5, 1.5, 3), rng.uniform(0.1, 0.4, 2), rng.uniform(0.05, 0.3, 3)
    swap, hop = s.left.plus @ s.right.minus, s.right.plus @ s.mode.a
    H = w[0] * s.left.up + w[1] * s.right.up + w[2] * s.mode.n + g[0] * (swap + swap.dag) + g[1] * (hop + hop.dag)
    mode = [(k[2], s.mode.a), (0.02, s.mode.a.dag)]
    baths = {"left": (k[0], s.left.minus), "right": [(k[1], s.right.plus), (0.3, s.right.z)], "mode": mode}
    return s, qd.Lindblad(H, baths)


def mesolve(H, jumps, rho, times, operators):
    """QuTiP's expectation values, at tolerances well below those compared."""
    options = {"rtol": 1e-11, "atol": 1e-13, "nsteps": 10**6, "method": "adams", "progress_bar": ""}
    return qt.mesolve(qt.Qobj(H), qt.Qobj(rho), times, [np.sqrt(r) * qt.Qobj(A) for r, A in jumps], e_ops=operators, options=options).expect


TIMES = np.array([0.0, 0.1, 0.5, 2.0, 2.0, 7.5])


@pytest.mark.parametrize(("seed", "dims"), [(1, (2, 2, 2)), (2, (2, 2, 3)), pytest.param(3, DIMS, marks=pytest.mark.slow)])
def test_random_devices_against_qutip(seed, dims, counted):
    """Two qubits and an oscillator, d = 8, 12 and 24, everything random and complex: expectation values of any operators."""
    H, jumps, rho = random_device(seed, dims)
    s, rng = space_of(dims), np.random.default_rng(seed + 10)
    A, B = random_hermitian(rng, s.dim), rng.normal(size=(s.dim, s.dim)) + 1j * rng.normal(size=(s.dim, s.dim))
    want = mesolve(H, jumps, rho, TIMES, [qt.Qobj(A), qt.Qobj(B)])
    generator, asked = generator_of(s, H, jumps), {"hermitian": s.operator(A), "other": s.operator(B)}
    run = qd.evolve(generator, rho, TIMES, expect=asked, states=False)
    assert run.solver == "Propagator" and run.sector.size == s.dim**2
    # QuTiP is asked for 1e-11 of each step; some hundred of them leave 1e-9.
    close(run.expectations["hermitian"], want[0], 1e-9)
    close(run.expectations["other"], want[1], 1e-9)
    counted("random systems")
    counted("oracle comparisons", 2)


SOLVERS = {
    "propagator": (qd.solvers.Propagator(), 1e-12),
    "action": (qd.solvers.Action(), 1e-12),
    "explicit": (qd.solvers.Explicit(), 1e-8),
    "explicit loose": (qd.solvers.Explicit(rtol=1e-4, atol=1e-6), 1e-4),
    "explicit tight": (qd.solvers.Explicit(rtol=1e-11, atol=1e-13), 1e-11),
    "stiff": (qd.solvers.Stiff(rtol=1e-6, atol=1e-8), 1e-6),
}


@pytest.mark.parametrize("name", SOLVERS)
def test_every_solver_keeps_its_tolerance(name):
    """Against the exponential of the whole superoperator (SciPy), each solver at the tolerance asked of it."""
    solver, tolerance = SOLVERS[name]
    H, jumps, rho = random_device(3, (2, 2, 2))
    s = space_of((2, 2, 2))
    L = unitary(H) + sum(r * dissipator(A) for r, A in jumps)
    run = qd.evolve(generator_of(s, H, jumps), rho, TIMES, solver=solver)
    want = np.stack([(expm(L * t) @ rho.ravel()).reshape(rho.shape) for t in TIMES])
    # Tolerances are those of one step, and of the largest population's order, one.
    close(run.dense(), want, 3 * tolerance, 1.0)
    assert run.diagnostics()["trace_drift"] < 1e-12
    assert all(int(v) > 0 for v in run.statistics.values() if v is not run.statistics.get("rejected"))


@pytest.mark.slow
def test_symmetric_device_in_its_sector():
    """Populations reach a small sector, a coherent superposition of different charges a larger one; both as QuTiP."""
    s, generator = local_device(5)
    H, jumps = (
        np.asarray(generator.H.dense()),
        [(float(j.rate), np.asarray(j.operator.dense())) for js in generator.jumps.values() for j in js],
    )
    level = qt.tensor(qt.basis(2, 0), qt.basis(2, 1), qt.basis(6, 2))
    other = qt.tensor(qt.basis(2, 1), qt.basis(2, 1), qt.basis(6, 0))
    sizes = []
    for ket in (level, (level + 1j * other).unit()):
        psi = ket.full()[:, 0]
        run = qd.evolve(generator, psi, TIMES)
        want = mesolve(H, jumps, np.outer(psi, psi.conj()), TIMES, [qt.Qobj(s.mode.n.dense()), qt.Qobj(s.mode.a.dense())])
        close(run.expect(s.mode.n), want[0], 1e-9)
        close(run.expect(s.mode.a), want[1], 1e-9, 1.0)
        sizes.append(run.sector.size)
    # Both kets differ in charge by three; the coherences between them move on their own.
    assert sizes[0] < sizes[1] < s.dim**2 / 2


# ---- what goes in ---------------------------------------------------------------------------------------


def test_initial_states_in_every_form():
    """Operator, arrays real and complex, ket, mapping and State describe the same state and give the same evolution."""
    s, generator = local_device(6)
    one = s.left.projector("up") @ s.right.projector("down") @ s.mode.projector(1)
    ket = np.zeros(s.dim)
    ket[np.argmax(np.diag(one.dense()))] = 1
    mixed = np.diag([0.25, 0.75])
    forms = [
        one,
        np.asarray(one.dense()),
        np.asarray(one.dense()).astype(int),
        jnp.asarray(one.dense(), complex),
        ket,
        ket * 1j,
        {"left": "up", "right": "down", "mode": 1},
        {"mode": qd.Space(m=qd.Boson(6)).m.projector(1), "right": np.array([0, 1.0]), "left": np.diag([1.0, 0])},
        s.state(left="up", right="down", mode=1),
    ]
    want = qd.evolve(generator, one, TIMES).populations("mode")
    for initial in forms:
        close(qd.evolve(generator, initial, TIMES).populations("mode"), want, 1e-13)
    close(s.state(left=mixed, right="up", mode=0).reduced("left").dense(), mixed, 1e-15)
    # The stationary state of another generator starts the next evolution.
    before = qd.steady_state(local_device(7)[1])
    close(qd.evolve(generator, before, [0.0]).dense()[0], before.dense(), 1e-13)


def test_start_and_a_single_time():
    """The initial state is that at `start`; a single time is an array of one; equal times are equal states."""
    _, generator = local_device(6)
    initial = {"left": "up", "right": "up", "mode": 0}
    one, late = qd.evolve(generator, initial, 1.5), qd.evolve(generator, initial, [4.0, 5.5], start=4.0)
    assert len(one) == 1 and one.populations().shape == (1, 24)
    close(late.dense()[1], one.dense()[0], 1e-13)
    assert float(late.populations("left")[0, 0]) == 1.0


def test_gibbs_states():
    """The Gibbs state of a random H with degenerate levels, against the exponential; thermal qubits as a product."""
    rng = np.random.default_rng(0)
    H = random_hermitian(rng, 5)
    H = np.block([[H, np.zeros((5, 5))], [np.zeros((5, 5)), H]])
    want = expm(-0.7 * H) / np.trace(expm(-0.7 * H))
    close(qd.thermo.gibbs(qd.Space(a=qd.Levels(10)).operator(H), 0.7).dense(), want, 1e-13)
    q = qd.Space(q=qd.Spin()).q
    assert float(qd.thermo.gibbs(10.0 * q.z, 20.0).diagonal()[0]) == pytest.approx(np.exp(-400.0), rel=1e-13)
    slope = jax.grad(lambda b: qd.thermo.gibbs(0.5 * q.z, b).diagonal()[0])(1.3)
    p = 1 / (1 + np.exp(1.3))
    assert float(slope) == pytest.approx(-p * (1 - p), rel=1e-13)


# ---- what comes out -------------------------------------------------------------------------------------


def test_expectations_come_in_the_form_asked_for():
    """One operator, a list, a mapping; the same numbers as from the states, which need not be kept."""
    s, generator = local_device(8)
    initial = {"left": "up", "right": "up", "mode": 0}
    run = qd.evolve(generator, initial, TIMES, expect=s.mode.n)
    assert run.expectations.shape == TIMES.shape
    close(run.expectations, run.expect(s.mode.n), 1e-14)
    listed = qd.evolve(generator, initial, TIMES, expect=[s.mode.n, s.left.plus @ s.right.minus], states=False)
    close(listed.expectations[0], run.expectations, 1e-14)
    close(listed.expectations[1], run.expect(s.left.plus @ s.right.minus), 1e-13)
    close(listed.final, run.x[-1], 1e-14)
    with pytest.raises(ValueError, match="states were not kept"):
        listed.populations("mode")
    assert qd.evolve(generator, initial, TIMES).expectations is None


def test_snapshots_are_states():
    """A snapshot has currents, a ledger and expectation values; energy changes by what the baths bring."""
    s, generator = local_device(8)
    run = qd.evolve(generator, {"left": "up", "right": "up", "mode": 0}, np.array([0.3, 0.3 + 1e-4, 0.3 - 1e-4 + 2e-4]))
    book = qd.ledger(run[0])
    energy = run.expect(generator.hamiltonian)
    assert float(book.imbalance) == pytest.approx(float(energy[1] - energy[0]) / 1e-4, rel=1e-3)
    flows = run.map(lambda state: qd.heat_current(state, "mode"))
    close(flows[0], qd.heat_current(run[0], "mode"), 1e-14)
    assert flows.shape == (3,)
    close(run[1].dense(), run.dense()[1], 1e-14)
    close(run.dense("left")[1], run[1].reduced("left").dense(), 1e-14)
    late = qd.evolve(generator, {"left": "up", "right": "up", "mode": 0}, 1e6)[0]
    assert late.residual < 1e-15 < run[0].residual and late.diagnostics()["smallest_eigenvalue"] > -1e-15


def test_states_between_the_times():
    """At any time from the start on, of a constant generator, whatever the solver; before it, NaN."""
    s, generator = local_device(9)
    initial = {"left": "up", "right": "up", "mode": 0}
    exact = qd.evolve(generator, initial, [3.234], start=2.0, expect=s.mode.n)
    for solver in (None, qd.solvers.Explicit(), qd.solvers.Stiff(rtol=1e-5)):
        run = qd.evolve(generator, initial, [2.0, 5.0], start=2.0, solver=solver)
        close(run.at(3.234).expect(s.mode.n), exact.expectations[0], 1e-12)
        assert np.isnan(run.at(1.9).expect(s.mode.n))


def test_diagnostics_show_what_goes_wrong():
    """A mode that fills its last level shows there; loose steps show as negative populations; a good run shows neither."""
    mode = qd.Space(mode=qd.Boson(5)).mode

    def run(n, solver=None):
        generator = qd.Lindblad(mode.n, {"hot": [(0.1 * (n + 1), mode.a), (0.1 * n, mode.a.dag)]})
        return qd.evolve(generator, {"mode": 0}, np.linspace(0, 30, 11), solver=solver).diagnostics()

    cold, hot, loose = run(0.001), run(2.0), run(2.0, qd.solvers.Explicit(rtol=3.0, atol=3.0))
    assert float(cold["edge_weight"]["mode"][0]) == pytest.approx(1e-12, rel=0.01)
    assert float(hot["edge_weight"]["mode"][0]) > 0.05
    assert cold["smallest_population"] >= 0 and hot["smallest_population"] >= 0
    assert cold["trace_drift"] < 1e-14 and loose["smallest_population"] < -1e-6
    assert loose["accepted"] + loose["rejected"] == loose["steps"]


def test_small_tails_keep_their_digits():
    """A chain that climbs 200 levels, from its first step on: populations down to 1e-150 to 1e-13 of themselves (Poisson)."""
    mode = qd.Space(mode=qd.Levels(200)).mode
    up = mode.operator(np.diag(np.ones(199), -1))
    run = qd.evolve(qd.Lindblad(mode.operator(np.zeros((200, 200))), {"pump": (1.0, up)}), {"mode": 0}, [0.02, 1.0, 50.0])
    k = np.arange(150)
    for t, p in zip(np.asarray(run.times), np.asarray(run.populations()), strict=True):
        log = k * np.log(t) - t - np.cumsum(np.log(np.maximum(k, 1)))
        on = log > np.log(1e-150)
        # The logarithm itself is of order 350 and rounded to 1e-13.
        assert on.sum() > 35 and np.max(np.abs(np.log(p[k][on]) - log[on])) < 3e-13, t


@pytest.mark.parametrize("rate", [1e-6, 1.0, 300.0, 1e6])
def test_decay_into_a_level_that_stays(rate):
    """One column of the generator is zero, however large the other."""
    generator = qd.Lindblad(0.5 * q2.z, {"b": (rate, q2.minus)})
    for times in (np.array([1.0, 1.0]) / rate, np.array([60.0]) / rate, np.array([0.01, 1.0, 30.0]) / rate):
        got = qd.evolve(generator, UP, times, solver=qd.solvers.Propagator()).expect(q2.up)
        close(got, np.exp(-rate * times), 1e-14, 1.0)


@pytest.mark.parametrize("last", [1e6, 1e12, 5e12, 8e12])
def test_short_and_very_long_times_together(last):
    """Each to rounding, though the short ones ask for more doublings than the long ones leave."""
    generator = qd.Lindblad(0.5 * q2.z, {"b": [(0.5, q2.minus), (0.25, q2.plus)]})
    times = np.array([1e-3, 1.0, last])
    found = qd.evolve(generator, UP, times, expect=q2.up, solver=qd.solvers.Propagator())
    close(found.expectations, 1 / 3 + 2 / 3 * np.exp(-0.75 * times), 1e-14)


def test_hugely_long_times_and_norms():
    """Rates of 1e8 beside 1e-4 until t = 1e4 (norm 4e12): no NaN, total probability one, the closed form of the slow decay."""
    atom = qd.Space(atom=qd.Levels(3)).atom
    generator = qd.Lindblad(
        atom.projector(2), {"b": [(1e8, atom.transition(1, 2)), (3e8, atom.transition(2, 1)), (1e-4, atom.transition(0, 1))]}
    )
    run = qd.evolve(generator, {"atom": 1}, [1.0, 1e2, 1e4])
    # The fast pair shares 1 : 3, so that level 0 fills at a quarter of the slow rate, up to 1e-12 of it.
    close(run.populations()[:, 0] / -np.expm1(-0.25e-4 * np.array([1.0, 1e2, 1e4])), np.ones(3), 1e-8)
    assert run.diagnostics()["trace_drift"] < 4e-15  # rounding of a sum
    with pytest.raises(qd.SolveError, match="too long for a propagator"):
        qd.evolve(generator, {"atom": 1}, [1e6])


# ---- generators that depend on time ---------------------------------------------------------------------


def drive(q, omega, rate):
    def generator(t):
        damping = rate * (1 + 0.5 * jnp.sin(t) ** 2)
        return qd.Lindblad(0.5 * q.z + 0.4 * jnp.cos(omega * t) * q.x, {"bath": [(damping, q.minus), (0.1, q.plus)]})

    return generator


@pytest.mark.parametrize("solver", [None, qd.solvers.Stiff(rtol=1e-7, atol=1e-9)])
def test_driven_qubit_against_qutip(solver):
    """A drive and a rate that oscillate, against QuTiP's mesolve."""
    q = qd.Space(q=qd.Spin()).q
    run = qd.evolve(drive(q, 1.3, 0.2), {"q": "up"}, TIMES, solver=solver, expect=[q.z, q.plus])
    sx, sz = qt.sigmax(), qt.sigmaz()
    H = qt.QobjEvo([0.5 * sz, [0.4 * sx, lambda t: np.cos(1.3 * t)]])
    jumps = [qt.QobjEvo([[qt.sigmam(), lambda t: np.sqrt(0.2 * (1 + 0.5 * np.sin(t) ** 2))]]), np.sqrt(0.1) * qt.sigmap()]
    options = {"rtol": 1e-11, "atol": 1e-13, "nsteps": 10**6, "method": "vern9", "progress_bar": ""}
    want = qt.mesolve(H, qt.fock_dm(2, 0), TIMES, jumps, e_ops=[sz, qt.sigmap()], options=options).expect
    tolerance = 1e-8 if solver is None else 1e-6
    close(run.expectations[0], want[0], tolerance)
    close(run.expectations[1], want[1], tolerance, 1.0)
    assert run.solver == ("Explicit" if solver is None else "Stiff")
    heat = run.map(lambda s: qd.heat_current(s, "bath"))
    now = drive(q, 1.3, 0.2)(TIMES[3])
    assert float(heat[3]) == pytest.approx(float(qd.heat_current(now.state(run[3].rho), "bath")), rel=1e-12)


def test_structured_generators_in_time():
    """Decorated, a generator in time shows relations between its parameters; the sector is as small as without time."""
    s = qd.Space(left=qd.Spin(), right=qd.Spin())

    def build(t, g):
        swap = s.left.plus @ s.right.minus
        return qd.Lindblad(g * jnp.cos(t) * (swap + swap.dag), {"b": [(0.1, s.left.minus), (g, s.right.plus)]})

    def run(generator):
        return qd.evolve(generator, {"left": "up", "right": "down"}, TIMES, expect=s.left.up)

    plain, known = run(lambda t: build(t, 0.3)), run(lambda t: qd.structured(build)(t, 0.3))
    close(plain.expectations, known.expectations, 1e-9)
    assert known.sector.size <= plain.sector.size <= 6


# ---- batches, compiling, progress -----------------------------------------------------------------------

WAYS = [
    qd.solvers.Propagator(),
    qd.solvers.Action(),
    qd.solvers.Explicit(),
    qd.solvers.Explicit(gradient="forward"),
    qd.solvers.Action(gradient="forward"),
]


@pytest.mark.parametrize("solver", WAYS, ids=repr)
def test_batches(solver):
    """vmap over rates, times and initial states gives what a loop gives."""
    q = qd.Space(q=qd.Spin()).q

    @jax.jit
    def f(rate, last, p):
        generator = qd.Lindblad(q.z + 0.3 * q.x, {"b": [(rate, q.minus), (0.1, q.plus)]})
        return qd.evolve(generator, jnp.diag(jnp.stack([p, 1 - p])), jnp.stack([0.1, last]), solver=solver, expect=q.x).expectations

    rates, lasts, ps = jnp.array([0.1, 5.0, 0.0]), jnp.array([0.1, 3.0, 20.0]), jnp.array([0.0, 0.3, 1.0])
    with qd.failures("nan"):
        many = jax.vmap(f)(rates, lasts, ps)
    # Steps of a batch are those of its members, but for the order of sums.
    close(many, jnp.stack([f(*a) for a in zip(rates, lasts, ps, strict=True)]), 1e-12)


BAR = """
import jax, jax.numpy as jnp, qdiff as qd
q = qd.Space(q=qd.Spin()).q
def f(rate, shown=None):
    generator = qd.Lindblad(q.z + 0.3 * q.x, {"b": [(rate, q.minus), (0.1, q.plus)]})
    return qd.evolve(generator, {"q": "up"}, [0.0, 50.0], solver=SOLVER, expect=q.up, progress=shown).expectations[-1]
def shown(g, *x):
    with qd.progress():
        return g(*x)
"""


def run_python(code):
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done


@pytest.mark.slow
@pytest.mark.parametrize("solver", ["qd.solvers.Explicit()", "qd.solvers.Action()"])
def test_progress_bar(solver):
    """Off by default; on, it shows on standard error and changes no value, gradient or batch, compiled or not."""
    calls = """
print(float(f(0.2)))
CALL
"""
    code = BAR.replace("SOLVER", solver)
    plain = run_python(code + calls.replace("CALL", "print(float(jax.jit(jax.grad(f))(0.2)), jax.jit(jax.vmap(f))(jnp.array([0.2, 0.5])))"))
    barred = run_python(
        code.replace("shown=None", "shown=True")
        + calls.replace("CALL", "print(float(jax.jit(jax.grad(f))(0.2)), jax.jit(jax.vmap(f))(jnp.array([0.2, 0.5])))")
    )
    assert "100" not in plain.stderr and plain.stdout == barred.stdout
    assert barred.stderr.count("100.00%") == 3
    within = run_python(code + "print(float(shown(f, 0.2)))\nprint(float(f(0.3)))")
    assert within.stderr.count("100.00%") >= 1


def test_progress_is_on_in_the_command_line(tmp_path):
    """A figure of merit that follows a long evolution shows its bar when it is evaluated from a shell, off standard output."""
    (tmp_path / "device.py").write_text(
        "import qdiff as qd\n"
        "class Device(qd.Model):\n"
        "    rate: float = qd.parameter(0.2)\n"
        "    @qd.merit(symbol='p', unit='1', source='-')\n"
        "    def late(self):\n"
        "        'Population.'\n"
        "        q = qd.Space(q=qd.Spin()).q\n"
        "        generator = qd.Lindblad(q.z, {'b': (self.rate, q.minus)})\n"
        "        return qd.evolve(generator, {'q': 'up'}, [5.0], solver=qd.solvers.Explicit(), expect=q.up).expectations[0]\n"
    )
    command = [sys.executable, "-c", "from qdiff.cli.app import main; main()", "evaluate", f"{tmp_path}/device.py:Device", "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "100.00%" in done.stderr and "%" not in done.stdout
    assert f"{np.exp(-1.0):.7f}" in done.stdout


# ---- what is refused ------------------------------------------------------------------------------------

q2 = qd.Space(q=qd.Spin()).q
DECAY = qd.Lindblad(q2.z, {"b": (0.5, q2.minus)})
UP = np.diag([1.0, 0.0])


def spaceless():
    """The same decay of operators that know their dimension only."""
    return qd.Lindblad(qd.Operator.from_dense(q2.z.dense()), {"b": (0.3, qd.Operator.from_dense(q2.minus.dense()))})


def turning(t):
    return qd.Lindblad(jnp.cos(t) * q2.x, {"b": (0.3, q2.minus)})


def driven_between():
    return qd.evolve(turning, UP, [0.0, 1.0])


REFUSED = {
    "unsorted times": (lambda: qd.evolve(DECAY, UP, [2.0, 1.0]), ValueError, "times must be sorted"),
    "times before start": (lambda: qd.evolve(DECAY, UP, [2.0, 3.0], start=2.5), ValueError, "not before `start`"),
    "a time that is NaN": (lambda: qd.evolve(DECAY, UP, [jnp.nan]), ValueError, "finite"),
    "no times": (lambda: qd.evolve(DECAY, UP, []), ValueError, "at least one"),
    "times in two dimensions": (lambda: qd.evolve(DECAY, UP, [[1.0]]), ValueError, "one-dimensional"),
    "complex times": (lambda: qd.evolve(DECAY, UP, [1j]), ValueError, "times must be real"),
    "a matrix of the wrong shape": (lambda: qd.evolve(DECAY, np.eye(3) / 3, [1.0]), ValueError, r"shape \(2, 2\).*has shape \(3, 3\)"),
    "a ket of the wrong shape": (lambda: qd.evolve(DECAY, np.ones(3), [1.0]), ValueError, r"has shape \(3,\)"),
    "an operator on another space": (lambda: qd.evolve(DECAY, qd.Space(r=qd.Spin()).r.up, [1.0]), ValueError, "initial must act on"),
    "a negative population": (lambda: qd.evolve(DECAY, np.diag([1.5, -0.5]), [1.0]), ValueError, "initial must be positive"),
    "a coherence too large": (lambda: qd.evolve(DECAY, np.array([[0.5, 0.6], [0.6, 0.5]]), [1.0]), ValueError, "must be positive"),
    "no Hermitian matrix": (lambda: qd.evolve(DECAY, np.array([[0.5, 0.2], [0.0, 0.5]]), [1.0]), ValueError, "must be Hermitian"),
    "a trace of two": (lambda: qd.evolve(DECAY, np.eye(2), [1.0]), ValueError, "trace one"),
    "a state of NaN": (lambda: qd.evolve(DECAY, UP * np.nan, [1.0]), ValueError, "initial must"),
    "a missing factor": (lambda: qd.evolve(local_device(1)[1], {"left": "up"}, [1.0]), ValueError, "'right', 'mode'.*missing"),
    "an unknown factor": (lambda: qd.evolve(DECAY, {"p": "up"}, [1.0]), ValueError, "factor must be one of"),
    "an unknown level": (lambda: qd.evolve(DECAY, {"q": "high"}, [1.0]), ValueError, "level of 'q' must be one of"),
    "a factor of the wrong shape": (lambda: qd.evolve(DECAY, {"q": np.eye(3)}, [1.0]), ValueError, "state of 'q' must be"),
    "a solver by name": (lambda: qd.evolve(DECAY, UP, [1.0], solver="tsit5"), TypeError, "solver must be one such as Explicit"),
    "no generator": (lambda: qd.evolve(q2.z, UP, [1.0]), TypeError, "generator must be one such as"),
    "a function of no generator": (lambda: qd.evolve(lambda t: q2.z, UP, [1.0]), TypeError, "must return an equation such as Lindblad"),
    "an array to expect": (lambda: qd.evolve(DECAY, UP, [1.0], expect=np.eye(2)), TypeError, "expect must hold Operators"),
    "a larger operator to expect": (lambda: qd.evolve(DECAY, UP, [1.0], expect=local_device(1)[0].mode.n), ValueError, "expect must have"),
    "a mapping without a space": (lambda: qd.evolve(spaceless(), {"q": "up"}, [1.0]), ValueError, "initial can be a mapping only if"),
    "a state between, of a drive": (lambda: driven_between().at(0.5), ValueError, "for constant generators"),
    "a propagator in time": (lambda: qd.evolve(turning, UP, [1.0], solver=qd.solvers.Propagator()), ValueError, "constant but for jumps"),
    "an action in time": (lambda: qd.evolve(turning, UP, [1.0], solver=qd.solvers.Action()), ValueError, "constant but for jumps"),
    "a jump that is no number": (lambda: qd.evolve(DECAY, UP, [1.0], jumps=["noon"]), TypeError, "jumps must be real"),
    "a longest step of nothing": (lambda: qd.solvers.Explicit(max_step=0), ValueError, "max_step must be a number above 0"),
    "too few steps": (lambda: qd.evolve(DECAY, UP, [1e4], solver=qd.solvers.Explicit(max_steps=5)), qd.SolveError, "within max_steps"),
    "too few steps of an action": (
        lambda: qd.evolve(DECAY, UP, [1e4], solver=qd.solvers.Action(max_steps=5)),
        qd.SolveError,
        "Action took more",
    ),
    "one of several times too long": (lambda: qd.evolve(DECAY, UP, [1.0, 2.0, 1e16]), qd.SolveError, "too long for a propagator"),
    "and only just": (lambda: qd.evolve(DECAY, UP, [1.0, 2.0, 3e13]), qd.SolveError, "too long for a propagator"),
    "an unknown direction": (lambda: qd.solvers.Explicit(gradient="backward"), ValueError, 'gradient of Explicit must be "reverse" or'),
    "a direction an action lacks": (lambda: qd.solvers.Action(gradient="both"), ValueError, "gradient of Action must be"),
    "a rate that is infinite": (lambda: qd.evolve(qd.Lindblad(q2.z, {"b": (jnp.inf, q2.minus)}), UP, [1.0]), ValueError, "finite"),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused_with_one_sentence(what):
    call, kind, said = REFUSED[what]
    with pytest.raises(kind, match=said) as caught:
        call()
    assert "\n" not in str(caught.value)


def test_secular_generators_in_time_are_refused():
    bath = qd.BosonicBath(1.0, qd.baths.Ohmic(0.1))
    with pytest.raises(ValueError, match="fixed basis"):
        qd.evolve(lambda t: qd.secular((1 + t) * q2.z, {"b": (q2.x, bath)}), UP, [1.0])


def test_a_constant_secular_generator():
    """A global equation evolves in its eigenbasis and is read in the original one."""
    s = qd.Space(a=qd.Spin(), b=qd.Spin())
    generator = qd.secular(
        s.a.z + 0.7 * s.b.z + 0.3 * s.a.x @ s.b.x,
        {"hot": (s.a.x, qd.BosonicBath(0.2, qd.baths.Ohmic(0.1))), "cold": (s.b.x, qd.BosonicBath(1.5, qd.baths.Ohmic(0.2)))},
    )
    run = qd.evolve(generator, {"a": "up", "b": "down"}, [0.0, 1.0, 1e4], expect=s.a.z)
    assert float(run.expectations[0]) == pytest.approx(1.0, abs=1e-14)
    close(run.expectations[-1], qd.steady_state(generator).expect(s.a.z), 1e-12)
    close(run.populations("a")[:, 0] * 2 - 1, run.expectations, 1e-13)


def test_checks_inside_compiled_functions():
    """In a compiled function a bad state or unsorted times are NaN if failures are to be, and an error otherwise."""

    def f(p, t):
        return qd.evolve(DECAY, jnp.diag(jnp.stack([p, 1 - p])), t, expect=q2.up).expectations

    good, late = jnp.array([0.5, 1.0]), jnp.array([1.0, 0.5])
    with qd.failures("nan"):
        g = jax.jit(f)
        assert np.all(np.isfinite(g(0.5, good)))
        assert np.all(np.isnan(g(1.5, good))) and np.all(np.isnan(g(0.5, late)))
    with pytest.raises(Exception, match="initial must be positive"):
        jax.block_until_ready(jax.jit(lambda *a: f(*a))(1.5, good))


@pytest.mark.parametrize("solver", [qd.solvers.Propagator(), qd.solvers.Action()])
def test_an_energy_that_is_no_number_is_an_error(solver):
    """Also where nothing is wrong with the steps themselves, and nothing to see in the populations."""
    plus = np.full((2, 2), 0.5)

    def coherence(w):
        return qd.evolve(qd.Lindblad(w * q2.z, {"b": (0.5, q2.minus)}), plus, [1.0], expect=q2.x, solver=solver).expectations[0]

    close(jax.jit(coherence)(0.3), np.exp(-0.25) * np.cos(0.6), 1e-12)
    with pytest.raises(Exception, match="infinite or NaN"):
        jax.block_until_ready(jax.jit(coherence)(np.nan))


DIRECTIONS = [
    (qd.solvers.Explicit(), jax.jacfwd, 'forward mode.*gradient="forward"'),
    (qd.solvers.Action(), jax.jacfwd, "forward mode"),
    (qd.solvers.Stiff(), jax.jacfwd, "forward mode"),
    (qd.solvers.Explicit(gradient="forward"), jax.grad, 'reverse mode.*gradient="reverse"'),
    (qd.solvers.Action(gradient="forward"), jax.grad, "reverse mode"),
]


@pytest.mark.parametrize(("solver", "way", "said"), DIRECTIONS, ids=lambda x: getattr(x, "__name__", None) or repr(x))
def test_the_wrong_direction_is_refused(solver, way, said):
    """A solver that is differentiable one way says so when asked for the other, compiled or not."""

    def f(rate):
        return qd.evolve(qd.Lindblad(q2.z, {"b": (rate, q2.minus)}), UP, [1.0], solver=solver, expect=q2.up).expectations[0]

    for g in (way(f), jax.jit(way(f)), way(jax.jit(f))):
        with pytest.raises(TypeError, match=said):
            g(0.3)


# ---- every model ----------------------------------------------------------------------------------------


def generators():
    """(name, model) of every shipped model with a stationary `State`: later models join by being listed."""
    out = []
    for name, home in qd.models.NAMES.items():
        kind = getattr(qd.models, home.split(":")[1])
        steady = getattr(kind, "steady", None)
        if steady is not None and all(p.default is not p.empty for p in list(inspect.signature(steady).parameters.values())[1:]):
            out.append((name, kind()))
    return out


def test_there_are_models_to_test():
    assert {"rotor-engine", "rotor-rectifier"} <= {name for name, _ in generators()}


@pytest.mark.parametrize(
    ("name", "model"),
    [pytest.param(name, model, id=name, marks=[pytest.mark.slow] if name == "rotor-engine" else []) for name, model in generators()],
)
def test_late_times_meet_the_steady_state(name, model):
    """Long after the slowest decay the evolution of every model from its maximally mixed state is at its steady state."""
    state = jax.jit(lambda m: m.steady())(model)
    if not isinstance(state, qd.lindblad.State):
        pytest.skip("this model's stationary state is no density matrix")
    generator = state.generator
    relaxed = qd.relax(generator, tolerance=1e-6)
    times = jnp.array([float(relaxed.time), 40 / float(relaxed.gap)])
    dim = generator.H.size
    run = qd.evolve(generator, np.eye(dim) / dim, times)
    want = np.asarray(state.populations())
    first, last = np.asarray(run.populations())
    # The steady state is known to 1e-13; half the sum of differences is the trace distance of the populations.
    assert np.abs(last - want).sum() / 2 < 1e-12
    # Relatively too, as far as the steady state knows them: its rounding is that of its largest population.
    assert np.all(np.abs(last - want) <= 1e-8 * want + 1e-16 * want.max())
    assert 1e-9 < np.abs(first - want).sum() / 2 <= 1.01e-6
