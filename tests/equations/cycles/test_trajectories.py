"""Selective measurements followed one by one, several in a cycle, against dense algebra; keys and numbers that are given."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close, dissipator, unitary
from scipy.linalg import expm

import qdiff as qd

S = qd.Space(a=qd.Spin(), b=qd.Spin())
HOP = S.a.plus @ S.b.minus
H = S.a.up + 2 * S.b.up + 0.5 * (HOP + HOP.dag)
RATES = [(0.1, S.a.minus), (0.05, S.a.plus), (0.3, S.b.minus), (0.2, S.b.plus)]
FREE, SHORT = qd.cycles.Free(qd.Lindblad(H, {"all": RATES}), 2.0), qd.cycles.Free(qd.Lindblad(H, {"all": RATES}), 0.4)
FIRST, SECOND = qd.cycles.Measurement(S.a.up + S.b.up, 0.7), qd.cycles.Measurement(S.b.z)  # three outcomes, and two
CYCLE = qd.cycles.Cycle([FREE, FIRST, SHORT, SECOND])
KET = np.array([0.6, 0.0, 0.0, 0.8])


def followed(uniforms):
    """Outcomes, their probabilities, and the energy that each measurement gives."""
    L = unitary(H.dense()) + sum(r * dissipator(A.dense()) for r, A in RATES)
    rho, H_ = np.outer(KET, KET).astype(complex), H.dense()
    outcome, probability, given = [], [], []
    for pair in uniforms:
        for stroke, time, u in zip((FIRST, SECOND), (2.0, 0.4), pair, strict=True):
            rho = (expm(time * L) @ rho.ravel()).reshape(4, 4)
            K, s = len(stroke.projectors), float(stroke.strength)
            y = (np.sqrt(1 + (K - 1) * (1 - s)) - np.sqrt(s)) / K
            M = [y * np.eye(4) + np.sqrt(s) * P.dense() for P in stroke.projectors]
            after = [m @ rho @ m.conj().T for m in M]
            p = np.array([np.trace(r).real for r in after])
            assert abs(p.sum() - 1) < 1e-12
            r = K - 1 - int(np.sum(u >= np.cumsum(p[::-1])[:-1]))
            before = np.trace(H_ @ rho).real
            rho = after[r] / p[r]
            outcome.append(r)
            probability.append(p[r])
            given.append(np.trace(H_ @ rho).real - before)
    return np.array(outcome), np.array(probability), np.array(given)


def test_two_measurements_in_a_cycle():
    """Every outcome occurs; probabilities and the energies given are those of the operators."""
    uniforms = np.random.default_rng(2).uniform(size=(40, 2))
    outcome, probability, jump = followed(uniforms)
    run = qd.cycles.replay(CYCLE, uniforms, KET)
    assert run.outcome.shape == (1, 40, 2) and np.array_equal(np.asarray(run.outcome[0]).ravel(), outcome)
    assert set(outcome[::2]) == {0, 1, 2} and set(outcome[1::2]) == {0, 1}
    close(np.asarray(run.probability[0]).ravel(), probability, 1e-12)
    close(np.asarray(run.jump[0]).ravel(), jump, 1e-12)
    assert [len(v) for v in run.values] == [3, 2] and list(run.values[0]) == sorted(run.values[0])


def test_the_ends_of_the_interval():
    """Zero takes the largest value and one the smallest; neither is refused, and nothing beyond them is accepted."""
    run = qd.cycles.replay(CYCLE, [[0.0, 0.0], [1.0, 1.0]], KET)
    assert np.array_equal(np.asarray(run.outcome[0]), [[2, 1], [0, 0]])
    for wrong in ([[-0.01, 0.5]], [[0.5, 1.01]]):
        with pytest.raises(ValueError, match="uniforms must be numbers between 0 and 1"):
            qd.cycles.replay(CYCLE, wrong, KET)


def test_keys():
    """Raw keys are the keys that they hold; arrays that are no keys are refused."""
    new, raw, seed = (qd.cycles.trajectories(CYCLE, key, 3, 40, KET).outcome for key in (jax.random.key(3), jax.random.PRNGKey(3), 3))
    assert np.array_equal(new, raw) and np.array_equal(new, seed) and new.shape == (40, 3, 2)
    for wrong in (jnp.zeros(2), np.zeros(2, np.uint32), 1.5, True, "3"):
        with pytest.raises(TypeError, match="key must be an integer or a JAX random key"):
            qd.cycles.trajectories(CYCLE, wrong, 3, 4, KET)
