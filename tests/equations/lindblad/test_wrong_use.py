"""Wrong arguments of generators: one sentence that names them; and equal structures are one, so that nothing is compiled twice."""

import jax.numpy as jnp
import numpy as np
import pytest

import qdiff as qd
from qdiff.equations.lindblad.eigenbasis import _Mask
from qdiff.equations.lindblad.reach import reach
from qdiff.equations.lindblad.resolvent import _Rotating
from qdiff.equations.rates.equation import Transitions
from qdiff.linalg.expm import _Trace

Q = qd.Space(q=qd.Spin()).q
OTHER = qd.Space(mode=qd.Boson(2)).mode
PAIR = qd.Space(a=qd.Spin(), b=qd.Spin())
BATH = qd.BosonicBath(1.0, qd.baths.Ohmic(0.1))


def family(rate=(0.1, 0.2), groups=(0, 1)):
    return qd.Jump(jnp.array(rate), PAIR.a.minus, groups)


def bloch(generator):
    return qd.bloch.BlochModel(lambda k, p: generator).steady_state(jnp.linspace(-1, 1, 3))


WRONG = {
    "no pair": (lambda: qd.secular(Q.z, {"hot": Q.x}), TypeError, "the coupling of bath 'hot' must be (operator, bath)"),
    "four things": (lambda: qd.secular(Q.z, {"hot": (Q.x, BATH, 1.0, 2.0)}), TypeError, "the coupling of bath 'hot' must be"),
    "no operator": (lambda: qd.secular(Q.z, {"hot": (1.0, BATH)}), TypeError, "must have an Operator or a list of them, but has float"),
    "no operators": (lambda: qd.secular(Q.z, {"hot": ([], BATH)}), TypeError, "must have an Operator or a list of them, but has list"),
    "a number among operators": (
        lambda: qd.secular(Q.z, {"hot": ([Q.x, 1.0], BATH)}),
        TypeError,
        "must have an Operator or a list of them, but has list",
    ),
    "elsewhere": (lambda: qd.secular(Q.z, {"hot": (OTHER.x, BATH)}), ValueError, "the coupling of bath 'hot' acts on Space(mode="),
    "few groups": (lambda: family(groups=(0,)), ValueError, "groups must be a tuple of 2 numbers, one for each entry of the operator"),
    "few rates": (lambda: family(rate=(0.1,)), ValueError, "rate must be an array with one entry for each group, but has shape (1,)"),
    "one name": (lambda: qd.Lindblad(Q.z, {1: Q.minus, "1": Q.plus}), ValueError, "must have distinct names, but has [1, '1']"),
    "no jumps": (lambda: qd.Lindblad(Q.z, {"hot": 3}), TypeError, "bath 'hot' must have a jump or a list of jumps, but had 3"),
    "no number": (
        lambda: qd.Lindblad(np.nan * Q.z, {"hot": Q.minus}),
        ValueError,
        "H must be finite, but has an entry that is",
    ),
    "measured elsewhere": (
        lambda: qd.steady_state(qd.Lindblad(Q.z, {"hot": Q.minus})).expect(OTHER.n),
        ValueError,
        "acts on Space(mode=Boson(levels=2)), but the generator on Space(q=Spin())",
    ),
    "families of momenta": (
        lambda: bloch(qd.secular(Q.z, {"hot": (Q.x, BATH)})),
        ValueError,
        "a Lindblad equation with single jumps",
    ),
    "a family beside": (
        lambda: qd.secular(PAIR.a.z + PAIR.b.z, {"hot": (PAIR.a.x, BATH)}, {"beside": family()}),
        ValueError,
        "a family of jumps cannot be turned into the eigenbasis",
    ),
}


@pytest.mark.parametrize("what", WRONG)
def test_refused_with_one_sentence(what):
    call, kind, said = WRONG[what]
    with pytest.raises(kind) as caught:
        call()
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_a_bloch_model_may_be_an_equation_of_operators():
    """The same as from bare arrays."""
    k = jnp.linspace(-1, 1, 3)
    jumps = {"down": [(0.3, Q.minus), (0.1, Q.plus)], "noise": (0.2, Q.x)}
    whole = qd.bloch.BlochModel(lambda k, p: qd.Lindblad(jnp.cos(k) * Q.z + 0.3 * Q.x, jumps))
    bare = [(0.3, Q.minus.dense()), (0.1, Q.plus.dense()), (0.2, Q.x.dense())]
    arrays = qd.bloch.BlochModel(lambda k, p: (jnp.cos(k) * Q.z.dense() + 0.3 * Q.x.dense(), bare))
    assert np.array_equal(whole.steady_state(k), arrays.steady_state(k))


def test_equal_sectors_turn_as_one():
    generator = qd.Lindblad(Q.z, {"hot": [(0.1, Q.minus), (0.2, Q.plus)]})
    one, same, other = _Rotating(reach(generator)), _Rotating(reach(generator)), _Rotating(reach(generator, Q.x.pattern))
    assert one == same and hash(one) == hash(same) and one != other and one != 3


@pytest.mark.parametrize("kind", [_Mask, _Trace])
def test_equal_arrays_are_one_static_argument(kind):
    one, same, other = kind(np.array([1, 0])), kind(np.array([1, 0])), kind(np.array([0, 1]))
    assert one == same and hash(one) == hash(same) and one != other and one != 3


def test_how_transitions_are_shown():
    assert hash(Transitions(2, [0, 1], [1, 0], [0, 0])) == hash(Transitions(2, [0, 1], [1, 0], [0, 0]))
    assert repr(Transitions(2, [0, 1], [1, 0], [0, 0])) == "Transitions(size=2, jumps=2)"
