"""What becomes of a failure: an error now, at run time, NaN in a batch, or the error that `told` raises after the run."""

import threading

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import close

import qdiff as qd
from qdiff.results import Failure, Found, check, failing, told

NEGATIVE = Failure("x must not be negative", ValueError)
LARGE = Failure("x is too large")
LATE = Failure("x came too late")
RAISED = (eqx.EquinoxRuntimeError, jax.errors.JaxRuntimeError)


def root(x, t=jnp.inf):
    """The square root, of numbers between 0 and 100 and times before 3."""
    return check(jnp.sqrt(x), (x < 0, NEGATIVE), (x > 100, LARGE), Found(x == 9, LATE, t))


@pytest.mark.parametrize(
    ("x", "failure", "error", "said"),
    [
        (-1.0, NEGATIVE, ValueError, "^x must not be negative$"),
        (101.0, LARGE, qd.SolveError, "^x is too large$"),
        (9.0, LATE, qd.SolveError, r"^x came too late \(at t = 3.5\)$"),
    ],
)
def test_a_failure_is_a_value(x, failure, error, said):
    """Known numbers fail now, a compiled program after its run: with the exception of the kind, which the error carries."""

    @jax.jit
    def compiled(x):
        with failing("tell"):
            return root(x, 3.5)

    for solve in (lambda: root(jnp.array(x), 3.5), lambda: told(compiled, x)):
        with pytest.raises(error, match=said) as caught:
            solve()
        assert caught.value.failure is failure
    with pytest.raises(RAISED, match=failure.sentence):
        jax.block_until_ready(jax.jit(root)(x))
    with qd.failures("nan"):
        assert np.isnan(root(jnp.array(x)))
    close(told(compiled, 4.0), 2.0, 1e-15)


def test_what_led_to_a_failure_is_told_only_if_there_is_one():
    """`causes` come first, in every mode and batched; where nothing failed they do no harm and have no part in derivatives."""

    def solve(x, harm):
        wrong = Found(x < 0, NEGATIVE)
        return check(x * harm, (harm * x < -1, LARGE), causes=lambda: [wrong])

    for x, harm, failure in ((-2.0, 1.0, NEGATIVE), (2.0, -1.0, LARGE)):
        with pytest.raises(failure.error, match=failure.sentence):
            solve(jnp.array(x), harm)
        with pytest.raises(RAISED, match=failure.sentence):
            jax.block_until_ready(jax.jit(solve)(x, harm))
        with pytest.raises(RAISED, match=failure.sentence):
            jax.block_until_ready(jax.jit(jax.vmap(jax.grad(solve), (0, None)))(jnp.array([0.5, x]), harm))
        with pytest.raises(failure.error, match=failure.sentence):
            told(jax.jit(failing("tell")(solve)), x, harm)
        with qd.failures("nan"):
            assert jnp.isnan(jax.jit(jax.grad(solve))(x, harm))
    harmless = -2.0, 0.25
    close(solve(jnp.array(harmless[0]), harmless[1]), -0.5, 1e-15)
    for mode in ("raise", "nan", "tell"):
        close(told(jax.jit(failing(mode)(solve)), *harmless), -0.5, 1e-15)
        close(jax.jit(failing(mode)(jax.grad(solve)))(*harmless), 0.25, 1e-15)


def test_causes_stand_before_consequences():
    """NaN of a first failure makes a second one: the first is told, in whatever order the program runs its parts."""

    @jax.jit
    def both(x):
        with failing("tell"):
            return check(1 / root(x), (~jnp.isfinite(1 / root(x)), Failure("the inverse is not finite")))

    with pytest.raises(ValueError, match="x must not be negative"):
        told(both, -4.0)
    with pytest.raises(qd.SolveError, match="the inverse is not finite"):
        told(both, 0.0)


def test_within_a_batch_a_loop_and_a_derivative():
    @jax.jit
    def sums(x):
        with failing("tell"):
            return jnp.sum(jax.vmap(jax.grad(root))(x)) + jax.lax.scan(lambda s, x: (s + root(x), None), 0.0, x)[0]

    close(told(sums, jnp.array([4.0, 16.0])), 1 / 4 + 1 / 8 + 6, 1e-15)
    with pytest.raises(qd.SolveError, match="x is too large"):
        told(sums, jnp.array([4.0, 144.0]))


def test_nan_where_a_failure_is():
    """In value and derivative; a failure of the shape of x marks its entries, one of no shape all of x."""

    def scaled(c, flag):
        with qd.failures("nan"):
            return check(c * jnp.arange(1.0, 4.0), (flag, LARGE))

    some = jnp.array([False, True, False])
    for f in (scaled, jax.jit(scaled)):
        assert np.array_equal(np.isnan(f(2.0, some)), some)
        assert np.isnan(f(2.0, jnp.array(True))).all()
        assert np.array_equal(np.isnan(jax.jacfwd(f)(2.0, some)), some)
        assert np.isnan(jax.grad(lambda c, f=f: f(c, jnp.array(True))[0])(2.0))
        assert f(2.0, jnp.zeros(3, bool)).tolist() == [2.0, 4.0, 6.0]


def test_programs_of_several_threads_do_not_take_each_others_failures():
    @jax.jit
    def compiled(x):
        with failing("tell"):
            return root(x)

    said = {}

    def run(x):
        for _ in range(20):
            try:
                said.setdefault(x, set()).add(float(told(compiled, x)))
            except (ValueError, qd.SolveError) as error:
                said.setdefault(x, set()).add(str(error))

    threads = [threading.Thread(target=run, args=(x,)) for x in (-1.0, 4.0, 101.0)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == {-1.0: {NEGATIVE.sentence}, 4.0: {2.0}, 101.0: {LARGE.sentence}}


def test_the_mode_is_one_of_two():
    with pytest.raises(ValueError, match="mode must be \"raise\" or \"nan\", but was 'tell'"), qd.failures("tell"):
        pass


def test_a_model_says_what_failed_and_which_kind():
    """A figure of merit that fails raises the kind's own exception, and so does one that says at what time."""

    class Driven(qd.Model):
        rate: float = qd.parameter(0.1)
        turn: float = qd.parameter(1.0)

        def late(self, t):
            q = qd.Space(q=qd.Spin()).q
            return qd.Lindblad(self.turn * q.x, {"loss": (self.rate * (2 - t), q.minus)})

        @qd.merit(symbol="p", unit="1", source="this test")
        def up(self):
            """The population of up at t = 3."""
            q = qd.Space(q=qd.Spin()).q
            return qd.evolve(self.late, {"q": "down"}, jnp.array([3.0]), expect=q.up).expectations[0]

    close(Driven(rate=0.0, turn=0.4).up(), np.sin(0.4 * 3) ** 2, 1e-7)
    with pytest.raises(qd.SolveError, match=r"^a rate of bath 'loss' is negative or not finite \(at t = 2") as caught:
        Driven().up()
    assert caught.value.failure.sentence == "a rate of bath 'loss' is negative or not finite"
