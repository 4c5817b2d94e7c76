"""Devices that a user writes in one file: the same numbers as QuTiP or brute force, however they are called."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from foreign_devices import DEVICES, oscillators
from helpers import close, derivative, flow, null_state, unitary

import qdiff as qd

NAMES = sorted(DEVICES)
# How many real numbers survive: two populations and a coherence; pairs linked by the exchange; and so on.
SIZES = {
    "driven_qubit": 4,
    "oscillators": 19,
    "global_oscillators": 9,
    "fridge": 9,
    "global_fridge": 8,
    "global_maser": 4,
    "driven_maser": 9,
}


def read(generator):
    """Density matrix, all heat currents, and a figure of merit that mixes them."""
    state = qd.steady_state(generator)
    heat = qd.currents(state, generator.hamiltonian)
    flows = jnp.stack([heat[k] for k in generator.labels])
    return state.dense(), flows, flows[0] + jnp.real(state.dense()[0, 0])


BUILD = {k: qd.structured(v[0]) for k, v in DEVICES.items()}
COMPILED = {k: jax.jit(lambda x, b=b: read(b(*x))) for k, b in BUILD.items()}
MERIT = {k: (lambda x, b=b: read(b(*x))[2]) for k, b in BUILD.items()}


def model_of(name):
    """The device as a `Model` with its generator decorated."""
    build, _, values = DEVICES[name]
    fields = [f"p{k}" for k in range(len(values))]

    def generator(self):
        return build(*(getattr(self, f) for f in fields))

    def population(self):
        return read(self.generator())[2]

    body = {f: qd.parameter(v) for f, v in zip(fields, values, strict=True)} | {
        "__annotations__": {f: float for f in fields},
        "__module__": __name__,
        "generator": qd.structured(generator),
        "population": qd.merit(symbol="f", unit="1", source="-")(population),
    }
    return type(qd.Model)(name, (qd.Model,), body)()


@pytest.mark.parametrize("name", NAMES)
def test_state_and_currents(name):
    """State to 1e-9 elementwise and currents to 1e-9 of the largest, against an independent Liouvillian."""
    _, reference, values = DEVICES[name]
    rho, flows, _ = COMPILED[name](jnp.array(values))
    H, baths = reference(*values)
    want = null_state(unitary(H) + sum(baths.values()))
    close(rho, want, 1e-9, 1.0)
    labels = DEVICES[name][0](*values).labels
    close(flows, [flow(baths[k], want, H) for k in labels], 1e-9)


@pytest.mark.parametrize("name", NAMES)
def test_every_way_of_calling_gives_the_same(name):
    """Eager floats, eager arrays, jit with and without `structured`, vmap, and a Model: one state, one sector size."""
    build, _, values = DEVICES[name]
    x = jnp.array(values)
    want = COMPILED[name](x)
    sizes = {}

    def sized(key, b):
        def run(*args):
            generator = b(*args)
            sizes[key] = qd.steady_state(generator).sector.size
            return read(generator)

        return run

    structured = qd.structured(build)
    results = {
        "floats": sized("floats", structured)(*values),
        "arrays": sized("arrays", structured)(*x),
        "plain floats": sized("plain floats", build)(*values),
        "plain jit": jax.jit(sized("plain jit", build))(*x),
        "vmap": [r[1] for r in jax.jit(jax.vmap(COMPILED[name]))(jnp.stack([x * 1.1, x]))],
    }
    model = model_of(name)
    results["model"] = sized("model", type(model).generator)(model)
    for got in results.values():
        for g, w in zip(got, want, strict=True):
            close(g, w, 1e-12, max(1.0, float(np.abs(w).max())))
    close(model.population(), want[2], 1e-12)
    # That the three gaps are resonant is a relation between parameters, which undecorated traced code does not show.
    assert sizes.pop("plain jit") == SIZES[name] + (name == "fridge")
    assert set(sizes.values()) == {SIZES[name]}, sizes


@pytest.mark.parametrize("name", NAMES)
def test_gradients(name):
    """Reverse, forward and second derivatives in all parameters against extrapolated differences.

    First: truncation O(h^6) at h = 1e-2 and noise eps/h leave 1e-9. Second: differences of the exact gradient.
    """
    values = np.array(DEVICES[name][2])
    f = MERIT[name]
    grad = jax.jit(jax.grad(f))
    reverse = grad(jnp.array(values))
    close(reverse, derivative(lambda x: COMPILED[name](jnp.array(x))[2], values), 2e-9)
    close(jax.jit(jax.jacfwd(f))(jnp.array(values)), reverse, 1e-10)
    second = jax.jit(jax.hessian(f))(jnp.array(values))
    close(second, derivative(lambda x: grad(jnp.array(x)), values), 1e-8)
    close(second, second.T, 1e-10)


def test_model_gradient_is_a_model():
    """The derivatives of a figure of merit of a user's Model carry the names of its parameters."""
    model = model_of("fridge")
    got = jax.grad(lambda m: m.population())(model)
    want = jax.jit(jax.grad(MERIT["fridge"]))(jnp.array(DEVICES["fridge"][2]))
    close(jnp.stack([getattr(got, f"p{k}") for k in range(7)]), want, 1e-10)


def test_a_tiny_drive_enlarges_the_sector():
    """A drive of 1e-12 breaks the phase symmetry of a damped qubit; it is not rounding and is not dropped."""
    q = qd.Space(q=qd.Spin()).q

    def generator(drive):
        return qd.Lindblad(0.5 * q.z + drive * q.x, {"b": [(0.3, q.minus), (0.1, q.plus)]})

    assert qd.steady_state(generator(0.0)).sector.size == 2
    state = qd.steady_state(generator(1e-12))
    assert state.sector.size == 4
    # First order: (i omega - G/2) c = i drive (p_up - p_down) with omega = 1, G = 0.4.
    close(state.dense()[0, 1], 1j * 1e-12 * (0.25 - 0.75) / (1j + 0.2), 1e-9)


def test_jumps_that_are_covariant_only_jointly():
    """cos and sin loads break the rotor's symmetry one by one and keep it together; the recombined form is as small."""
    s = qd.Space(spin=qd.Spin(), wheel=qd.Rotor(-3, 3))
    w = s.wheel

    def rest(lam, inertia):
        push = s.spin.plus @ w.E
        return 0.7 * s.spin.z + w.L2 / (2 * inertia) + lam * (push + push.dag)

    def thermal(rate, n):
        return [(rate * (n + 1), s.spin.minus), (rate * n, s.spin.plus)]

    @qd.structured
    def joint(lam, inertia, rate, a):
        cos = w.cos - 1j * a * w.sin @ w.L
        sin = w.sin + 1j * a * w.cos @ w.L
        return qd.Lindblad(rest(lam, inertia), {"hot": thermal(0.3, 0.8), "load": [(rate, cos), (rate, sin)]})

    @qd.structured
    def recombined(lam, inertia, rate, a):
        # cos + i sin = E (1 - a L)... up to a unitary mixing: A+- = (cos +- i sin)/sqrt 2.
        cos = w.cos - 1j * a * w.sin @ w.L
        sin = w.sin + 1j * a * w.cos @ w.L
        plus, minus = (cos + 1j * sin) / np.sqrt(2), (cos - 1j * sin) / np.sqrt(2)
        return qd.Lindblad(rest(lam, inertia), {"hot": thermal(0.3, 0.8), "load": [(rate, plus), (rate, minus)]})

    @qd.structured
    def single(lam, inertia, rate, a):
        cos = w.cos - 1j * a * w.sin @ w.L
        return qd.Lindblad(rest(lam, inertia), {"hot": thermal(0.3, 0.8), "load": [(rate, cos)]})

    x = (0.25, 1.7, 0.2, 0.15)
    states = [qd.steady_state(f(*x)) for f in (joint, recombined, single)]
    full = jax.jit(lambda *x: qd.steady_state(joint(*x)).dense())(*x)
    assert states[0].sector.size == states[1].sector.size == 14 + 2 * 6
    assert states[2].sector.size > 3 * states[0].sector.size
    close(states[0].dense(), states[1].dense(), 1e-11, 1.0)
    close(full, states[1].dense(), 1e-11, 1.0)


def test_weak_coupling_of_the_local_equation_breaks_no_first_law():
    """The heat of all baths adds up to zero when the full Hamiltonian is counted."""
    _, flows, _ = COMPILED["oscillators"](jnp.array(DEVICES["oscillators"][2]))
    assert abs(float(flows.sum())) < 1e-13 * float(jnp.abs(flows).max()) * 100
    generator = oscillators(*DEVICES["oscillators"][2])
    book = qd.ledger(qd.steady_state(generator), generator.space.left.n + 1.3 * generator.space.right.n)
    assert abs(float(book.imbalance)) < 1e-12 * float(np.abs(list(book.heat.values())).max())
    assert abs(float(sum(book.work.values()))) > 1e-3 * abs(float(book.heat["left"]))
