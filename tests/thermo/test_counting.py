"""Full counting statistics: closed forms, the tilted generator's eigenvalue, QuTiP, conservation and fluctuation laws."""

import jax
import jax.numpy as jnp
import mpmath
import numpy as np
import pytest
import qutip as qt
from helpers import close, dissipator, null_state, random_hermitian, unitary

import qdiff as qd
from qdiff.equations.lindblad.reach import reach
from qdiff.thermo.counting_charges import carried

QUBIT = qd.Space(q=qd.Spin()).q


def two_state(in_left, out_left, in_right, out_right):
    """A level between two leads: four rates."""
    left = [qd.Jump(in_left, QUBIT.plus, quanta=1.0), qd.Jump(out_left, QUBIT.minus, quanta=-1.0)]
    return qd.Lindblad(0.5 * QUBIT.z, {"left": left, "right": [(in_right, QUBIT.plus), (out_right, QUBIT.minus)]})


def tilted(L0, jumps, amounts, chi):
    """L0 and the jumps (rate, A) with a factor e^{chi q} on what each of them gains: the matrix L(chi)."""
    out = L0.astype(complex)
    for (rate, A), q in zip(jumps, amounts, strict=True):
        out = out + (np.exp(chi * q) - 1) * rate * np.kron(A, np.conj(A))
    return out


def by_contour(L0, jumps, amounts, order, radius=0.2, points=32):
    """Cumulants as Taylor coefficients of the leading eigenvalue on a circle in the complex plane (Cauchy's formula)."""
    circle = radius * np.exp(2j * np.pi * np.arange(points) / points)
    eigenvalues = [np.linalg.eigvals(tilted(L0, jumps, amounts, chi)) for chi in circle]
    leading = np.array([e[np.argmax(e.real)] for e in eigenvalues])
    taylor = np.fft.fft(leading) / points / radius ** np.arange(points)
    factorials = np.array([float(mpmath.factorial(n)) for n in range(1, order + 1)])
    return taylor[1 : order + 1].real * factorials


def test_contour_can_fail():
    """The reference itself on independent events, for which all cumulants are the rate: to 1e-9, and no other rate."""
    L0 = unitary(np.zeros((1, 1)))
    got = by_contour(L0, [(0.7, np.ones((1, 1)))], [1.0], 4)
    close(got, 0.7 * np.ones(4), 1e-9)
    with pytest.raises(AssertionError):
        close(got, 0.7001 * np.ones(4), 1e-9)


def test_two_state_process_to_sixth_order():
    """lambda = -G/2 + sqrt(G^2/4 + f (e^chi - 1) + b (e^-chi - 1)), differentiated in 50 digits: 1e-12 of each cumulant."""
    rates = (0.9, 0.2, 0.35, 0.6)
    with mpmath.workdps(50):
        a, b, c, d = map(mpmath.mpf, rates)

        def growth(chi):
            return -(a + b + c + d) / 2 + mpmath.sqrt((a + b + c + d) ** 2 / 4 + a * d * mpmath.expm1(chi) + b * c * mpmath.expm1(-chi))

        want = [float(k * mpmath.factorial(n)) for n, k in enumerate(mpmath.taylor(growth, 0, 6))][1:]
    generator = two_state(*rates)
    got = qd.cumulants(qd.steady_state(generator), "left", "quanta", order=6)
    for g, w in zip(got, want, strict=True):
        close(g, w, 1e-12)
    right = qd.cumulants(qd.steady_state(generator), "right", (1, -1), order=6)  # what enters here leaves there
    close(right, -np.array(want) * (-1.0) ** np.arange(6), 1e-12)


def test_independent_events():
    """A level that empties 1e6 times as fast as it fills: Poisson, all cumulants equal but for corrections of 1e-6."""
    generator = two_state(1e-3, 0.0, 0.0, 1e3)
    c = qd.cumulants(qd.steady_state(generator), "left", "quanta", order=5)
    close(c, 1e-3 * np.ones(5), 4e-5)
    close(qd.thermo.fano_factor(c[0], c[1]), 1 - 2e-6, 1e-10)


@pytest.fixture(scope="module")
def random_system():
    """Six levels without symmetry; a bath of three jumps that carry 2, -1 and 0.5, and another bath."""
    rng = np.random.default_rng(3)
    H, A = random_hermitian(rng, 6), [0.4 * (rng.normal(size=(6, 6)) + 1j * rng.normal(size=(6, 6))) for _ in range(4)]
    s = qd.Space(x=qd.Levels(*"abcdef"))
    rates = (1.0, 0.5, 2.0)
    generator = qd.Lindblad(s.operator(H), {"rest": s.operator(A[3]), "seen": [(r, s.operator(a)) for r, a in zip(rates, A, strict=False)]})
    jumps = list(zip(rates, A[:3], strict=True))
    L0 = unitary(H) + dissipator(A[3]) + sum(r * dissipator(a) for r, a in jumps)
    return s, generator, L0, jumps, (2.0, -1.0, 0.5), H, A


@pytest.mark.parametrize("solver", [None, qd.solvers.Dense(), qd.solvers.BlockTridiagonal()], ids=["chosen", "dense", "block"])
def test_random_system_against_the_tilted_generator(random_system, solver):
    """The first six cumulants from the leading eigenvalue on a circle: 1e-10 of each (Cauchy's formula: r^-n eps)."""
    _, generator, L0, jumps, amounts, *_ = random_system
    got = qd.cumulants(qd.steady_state(generator), "seen", amounts, order=6, solver=solver)
    for g, w in zip(got, by_contour(L0, jumps, amounts, 6), strict=True):
        close(g, w, 1e-10)


def test_qutip(random_system, counted):
    """`countstat_current_noise`, whose third number is the third cumulant: mean, noise and skewness of the net quanta.

    Its I_ops are what goes in less what goes out, its J_ops the sum of both. The stationary state is given: left to
    itself, QuTiP adds the counted jumps to L once more.
    """
    _, generator, L0, jumps, _, H, A = random_system
    c_ops = [np.sqrt(r) * qt.Qobj(a) for r, a in jumps]
    L = qt.liouvillian(qt.Qobj(H), [*c_ops, qt.Qobj(A[3])])
    signs = (1, -1, -1)
    gains = [qt.sprepost(c, c.dag()) for c in c_ops]
    net, total = [sum(s * g for s, g in zip(signs, gains, strict=True))], [sum(gains)]
    rho = qt.Qobj(null_state(L0))
    mean, noise, skewness = qt.countstat_current_noise(L, c_ops, rhoss=rho, I_ops=net, J_ops=total, sparse=False)
    got = qd.cumulants(qd.steady_state(generator), "seen", signs, order=3)
    close(got, [mean[0], noise[0, 0, 0].real, skewness[0, 0].real], 1e-9)
    counted("random systems")
    counted("oracle comparisons")


def test_jumps_that_cancel_in_the_generator_only():
    """Jumps (A + B)/sqrt 2 and (A - B)/sqrt 2: A rho B^dag cancels between them, but not where they carry different amounts.

    The sector of the state does not hold what one of them alone adds; that of the counts does.
    """
    s = qd.Space(x=qd.Levels("0", "1", "2"))
    A, B = s.x.transition("1", "0"), s.x.transition("2", "0")
    H = 0.4 * s.x.projector("1") + 0.7 * s.x.projector("2")
    back = s.x.transition("0", "1") + 0.5 * s.x.transition("0", "2")
    pair = [(0.5, A + B), (0.5, A - B)]
    generator = qd.Lindblad(H, {"pair": pair, "one": (0.3, s.x.transition("0", "1")), "two": (0.8, back)})
    plain = qd.Lindblad(H, {"pair": pair, "one": (0.3, s.x.transition("0", "1")), "two": (0.8, s.x.transition("0", "2"))})
    state = qd.steady_state(plain)
    assert state.sector.size == 3 and reach(plain, counted="pair").size == 5
    assert reach(plain, counted="two") == state.sector
    for m in (generator, plain):
        ops = [(float(j.rate), np.asarray(j.operator.dense())) for j in m.jumps["pair"]]
        L0 = unitary(H.dense()) + sum(float(j.rate) * dissipator(j.operator.dense()) for label in m.labels for j in m.jumps[label])
        for amounts in ((1.0, 0.0), (1.0, -2.0), (1.0, 1.0)):
            close(qd.cumulants(qd.steady_state(m), "pair", amounts, order=4), by_contour(L0, ops, amounts, 4), 1e-9)


def test_charges_energy_and_quanta_of_a_local_equation():
    """Heat in units of the bare gap: the same from the jumps, from H0, and from the numbers; the mean is the heat current."""
    device = qd.models.RotorEngine(l_min=-3, l_max=5, lam=0.3, gamma=0.01)
    state, H0 = device.steady(), device.uncoupled()
    generator, gap = state.generator, 2 * device.B2
    heat = qd.cumulants(state, "hot", "energy", order=3)
    close(heat[0], qd.heat_current(state, "hot", H0), 1e-10)
    scale = np.array([gap, gap**2, gap**3])
    # The noise of all hot quanta is a part in 1e3 of what the single terms are: rounding leaves 1e-11 of it.
    for of in (H0, (-gap, gap), np.array([-gap, gap])):
        close(qd.cumulants(state, "hot", of, order=3) / scale, heat / scale, 1e-10)
    close(qd.cumulants(state, "hot", "quanta", order=3), heat / scale, 1e-10)
    with pytest.raises(ValueError, match="jump 0 of bath 'hot' does not change the given operator by a definite amount"):
        qd.cumulants(state, "hot", generator.hamiltonian)
    with pytest.raises(ValueError, match="jump 0 of bath 'load' does not say how much energy it carries"):
        qd.cumulants(state, "load")
    with pytest.raises(ValueError, match="jump 0 of bath 'load' does not change the given operator by a definite amount"):
        qd.cumulants(state, "load", H0)  # L^2/2I changes by (2 l + 1)/2I


def test_what_enters_at_one_bath_leaves_at_the_others():
    """Every hot quantum is a cold one given back and a unit of the load's angular momentum: all cumulants agree.

    Counted at the load nothing cancels, so that this also measures what counting at the qubits loses: 1e-10.
    """
    device = qd.models.RotorEngine(beta2=0.05, l_min=-3, l_max=5)

    @jax.jit
    def counts(device):
        state = device.steady()
        ways = {"hot": "quanta", "cold": "quanta", "load": device.space.wheel.L}
        return [qd.cumulants(state, bath, of) for bath, of in ways.items()]

    hot, cold, load = counts(device)
    sign = (-1.0) ** np.arange(1, 5)
    for k in range(4):
        close(hot[k], sign[k] * load[k], 1e-9)
        close(cold[k], load[k], 1e-9)


def test_global_equation_exchanges_bohr_frequencies():
    """The mean energy of a secular bath is its heat current, and its cumulants those of the tilted generator."""
    s = qd.Space(a=qd.Spin(), b=qd.Spin())
    H = 0.7 * s.a.z + 0.4 * s.b.z + 0.3 * s.a.x @ s.b.x
    hot, cold = qd.BosonicBath(0.3, qd.baths.Ohmic(0.1)), qd.BosonicBath(1.5, qd.baths.Ohmic(0.2))
    lower = s.b.minus
    generator = qd.secular(H, {"hot": (s.a.x, hot), "cold": (lower, cold)}, {"extra": (0.05, s.b.z)})
    state = qd.steady_state(generator)
    e, v = np.linalg.eigh(H.dense())
    L0, counted = unitary(H.dense()), {}
    for name, bath, A in (("hot", hot, s.a.x.dense()), ("cold", cold, lower.dense())):
        A, counted[name] = v.T @ A @ v, []
        omegas = e[None, :] - e[:, None]
        for w in np.unique(omegas[np.abs(A) > 1e-12].round(9)):
            part = v @ np.where(np.abs(omegas - w) < 1e-8, A, 0) @ v.T
            counted[name].append((float(bath.emission(w)), part, -w))
            if name == "cold":
                counted[name].append((float(bath.absorption(w)), part.T, w))
        L0 = L0 + sum(r * dissipator(p) for r, p, _ in counted[name])
    L0 = L0 + 0.05 * dissipator(s.b.z.dense())
    for name, jumps in counted.items():
        got = qd.cumulants(state, name, order=4)
        close(got[0], qd.heat_current(state, name), 1e-11)
        close(got, by_contour(L0, [(r, p) for r, p, _ in jumps], [w for *_, w in jumps], 4), 1e-9)
        quanta = qd.cumulants(state, name, "quanta", order=4)
        close(quanta, by_contour(L0, [(r, p) for r, p, _ in jumps], [np.sign(w) for *_, w in jumps], 4), 1e-9)


class Electrons(qd.baths.AbstractBath):
    """A lead as a bath of `secular`."""

    lead: qd.FermionicLead

    def emission(self, omega):
        return self.lead.out_of(omega)

    def absorption(self, omega):
        return self.lead.into(omega)


def test_particles_of_a_global_equation():
    """Blocks of three levels with one number of particles each: what enters at the left leaves at the right, to fourth order."""
    s = qd.Space(dots=qd.Fermions("a", "b", "c"))
    a, b, c = s.dots.a, s.dots.b, s.dots.c
    leads = {"left": (a, Electrons(qd.FermionicLead(1.5, 0.4, 0.2))), "right": (c, Electrons(qd.FermionicLead(0.7, -0.5, 0.3)))}

    @qd.structured
    def build(level, other, repulsion, hopping):
        hops = a.dag @ b + 0.6 * b.dag @ c
        H = level * s.dots.n_a + other * s.dots.n_c + repulsion * s.dots.n_a @ s.dots.n_b + hopping * (hops + hops.dag)
        return qd.secular(H, leads)

    generator = build(0.2, -0.4, 0.5, 0.3)
    state, N = qd.steady_state(generator), s.dots.n
    left, right = (qd.cumulants(state, bath, N, order=4) for bath in leads)
    close(left[0], qd.current(state, N, "left"), 1e-12)
    close(right, left * np.array([-1, 1, -1, 1]), 1e-10)
    assert left[0] > 1e-3
    with pytest.raises(ValueError, match="does not change the given operator by a definite amount"):
        qd.cumulants(state, "left", s.dots.n_b)


def test_a_charge_of_families_and_of_rotated_bases():
    """[O, A] = q A for members of a family, each its own q, and for an O that is not diagonal."""
    s = qd.Space(w=qd.Rotor(0, 3))
    family = qd.Jump(jnp.array([0.3, 0.2, 0.7]), s.w.E, (0, 1, 2))
    generator = qd.Lindblad(s.w.L, {"up": family, "down": (0.5, s.w.E.dag)})
    close(carried(generator, "up", s.w.L2), [1.0, 3.0, 5.0], 1e-15)
    close(carried(generator, "up", [jnp.array([1.0, 2.0, 4.0])]), [1.0, 2.0, 4.0], 1e-15)
    with pytest.raises(ValueError, match="jump 0 of bath 'down' does not change"):
        carried(generator, "down", s.w.L2)
    rotated = qd.Lindblad(QUBIT.x, {"bath": (0.3, 0.5 * (QUBIT.z - 1j * QUBIT.y))})  # raises sigma_x by two
    close(carried(rotated, "bath", QUBIT.x), [2.0], 1e-15)
    traced = jax.jit(lambda g, r: carried(qd.Lindblad(g * QUBIT.z, {"bath": (r, r * QUBIT.minus)}), "bath", g * QUBIT.z))
    close(traced(0.7, 0.2), [-1.4], 1e-15)
    close(traced(0.7, 0.0), [0.0], 1e-15, 1.0)  # an operator that vanishes never jumps


def junction(hot, cold):
    """A qubit of gap 1.2 between two baths of different strength."""
    baths = {"hot": qd.BosonicBath(hot, 0.3), "cold": qd.BosonicBath(cold, 0.1)}
    return qd.Lindblad(0.6 * QUBIT.z, {k: qd.thermal_jumps(QUBIT.minus, 1.2, b) for k, b in baths.items()})


def test_fluctuation_dissipation():
    """At equal temperatures the noise of the heat is 2 T^2 times the conductance dQ/dT."""
    T = 1.7

    def heat(T):
        generator = junction(1 / T, 1 / 1.7)
        return qd.heat_current(qd.steady_state(generator), "hot")

    noise = qd.cumulants(qd.steady_state(junction(1 / T, 1 / T)), "hot", order=2)
    close(noise[1], 2 * T**2 * jax.grad(heat)(T), 1e-12)
    assert abs(noise[0]) < 1e-16


def test_uncertainty_ratio():
    """2 near equilibrium and above it elsewhere, for a classical process; both ratios at equilibrium itself."""
    ratios = []
    for cold in (1.01, 2.0, 5.0):
        generator = junction(1.0, cold)
        state = qd.steady_state(generator)
        mean, noise = qd.cumulants(state, "hot", order=2)
        fixed = {"hot": 1.0, "cold": cold}
        ratios.append(float(qd.thermo.uncertainty_ratio(mean, noise, qd.entropy_production(state, fixed))))
    close(ratios[0], 2.0, 1e-4)
    assert 2 < ratios[0] < ratios[1] < ratios[2]
    assert np.isposinf(qd.thermo.fano_factor(0.0, 0.3)) and np.isnan(qd.thermo.fano_factor(0.0, 0.0))
    assert np.isnan(qd.thermo.uncertainty_ratio(0.0, 0.3, 0.0))


def test_the_rotor_engine_against_qutip():
    """Noise, Fano factor and uncertainty ratio of the hot heat at seven levels, quanta of 2 B2."""
    device = qd.models.RotorEngine(l_min=-3, l_max=3, gamma=0.02, lam=0.4)
    got = qd.evaluate(
        device, ["current_noise_hot", "fano_factor_hot", "uncertainty_ratio_hot", "heat_current_hot", "entropy_production"]
    ).merits
    generator = device.generator()
    c_ops = {k: [qt.Qobj(np.asarray(j.operator.dense())).to("csr") * np.sqrt(float(j.rate)) for j in v] for k, v in generator.jumps.items()}
    L = qt.liouvillian(qt.Qobj(np.asarray(generator.H.dense())).to("csr"), [c for v in c_ops.values() for c in v])
    down, up = (qt.sprepost(c, c.dag()) for c in c_ops["hot"])
    given = {"rhoss": qt.Qobj(np.asarray(device.steady().dense())), "I_ops": [20 * (up - down)], "J_ops": [400 * (up + down)]}
    mean, noise, _ = qt.countstat_current_noise(L, c_ops["hot"], **given)
    mean, noise = float(mean[0]), float(noise[0, 0, 0].real)
    close(got["heat_current_hot"], mean, 1e-9)
    close(got["current_noise_hot"], noise, 1e-8)  # a part in 1e3 of QuTiP's terms
    close(got["fano_factor_hot"], noise / abs(mean), 1e-8)
    close(got["uncertainty_ratio_hot"], noise * got["entropy_production"] / mean**2, 1e-8)
    assert got["uncertainty_ratio_hot"] > 2


def test_what_is_refused():
    """One sentence for each wrong argument: which, what it must be, what it was."""
    generator = two_state(0.9, 0.2, 0.35, 0.6)
    state = qd.steady_state(generator)
    bath, shape = r"bath must be one of \['left', 'right'\], but was", r"must be one number, or have shape \(1,\), but has shape \(2,\)"
    for error, said, arguments in (
        (ValueError, f"{bath} 'top'", ["top"]),
        (ValueError, f"{bath} 'other'", ["other", "quanta"]),
        (ValueError, "of must be .* but was 'photons'", ["left", "photons"]),
        (TypeError, "of must be .* but was float", ["left", 1.0]),
        (ValueError, "of must be one number for each of the 2 jumps of bath 'left', but has 3", ["left", (1, 2, 3)]),
        (ValueError, f"what jump 1 of bath 'left' carries {shape}", ["left", [1.0, np.ones(2)]]),
        (ValueError, "of must be a Hermitian operator", ["left", QUBIT.plus]),
        (ValueError, "jump 0 of bath 'right' does not say how much quanta it carries", ["right", "quanta"]),
        (qd.SolveError, "the cumulants are not finite", ["left", (np.inf, 0.0)]),
    ):
        with pytest.raises(error, match=said):
            qd.cumulants(state, *arguments)
    for order in (0, 1.5, True):
        with pytest.raises(ValueError, match=f"order must be a positive integer, but was {order}"):
            qd.cumulants(state, "left", "quanta", order=order)
    with pytest.raises(TypeError, match="state must come from `steady_state`"):
        qd.cumulants(generator, "left")
    with pytest.raises(TypeError, match=r"solver must be one such as Dense\(\), but was"):
        qd.cumulants(state, "left", "quanta", solver="dense")
    with pytest.raises(ValueError, match="state must have trace one, but has trace 2"):
        qd.cumulants(generator.state(QUBIT.up * 2), "left", "quanta")
    s = qd.Space(x=qd.Levels("0", "1", "2", "3"))
    split = qd.Lindblad(s.x.projector("0"), {"b": [(1.0, s.x.transition("0", "1")), (1.0, s.x.transition("2", "3"))]})
    chosen = qd.steady_state(split, initial=s.identity / 4)
    with pytest.raises(qd.NotUnique, match="the statistics of long times need one stationary state, but there are 2"):
        qd.cumulants(chosen, "b", (1, 1))
    with qd.failures("nan"):
        assert np.all(np.isnan(qd.cumulants(state, "left", (np.nan, 0.0))))
