"""The steady generalised Gibbs ensemble of channels: the root of two scalars per channel."""

from __future__ import annotations

import math
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax

from ...linalg.roots import Root, implicit, search
from ...operators.checks import real_number
from ...results import Failure, check, require_float64
from .mean_field import AbstractChannels, Channel, shape_of

# Sites that are summed at a time: on a CPU, what is computed on the way fits into a cache; elsewhere, into the memory.
_PORTION, _TIMES_MORE_ELSEWHERE = 2**14, 64

# Exponents beyond this belong to channels of rate zero. Those only matter to the derivative in their rate, which for
# tilts beyond the smaller bound is larger than e^340.
_LARGEST, _IDLE = 700.0, 340.0


class Ensemble(eqx.Module):
    """A steady generalised Gibbs ensemble, n_q = Gain_q/(Gain_q + Loss_q).

    Attributes:
        moments: log X_c and log Y_c of each channel (2, channels).
        filling: the particles per site [1].
        change: the last Newton step in `moments`: their error is about its square, or rounding [1].
        steps: how many times the sums over all modes were taken, the ones on a shorter chain included.
        channels: the equation.
    """

    moments: jax.Array
    filling: jax.Array
    change: jax.Array
    steps: jax.Array
    channels: AbstractChannels

    def occupations(self):
        """n (*bands, sites) [1]."""
        return self._modes()[0]

    def lagrange_parameters(self):
        """lambda = ln((1 - n)/n) (*bands, sites), also where n or 1 - n is below rounding [1]."""
        return self._modes()[1]

    def _modes(self):
        bands = balances(self.moments, self.channels, self.channels.modes, self.filling)
        return tuple(jnp.stack(each).reshape(self.channels.shape) for each in zip(*((b.n, b.lagrange) for b in bands), strict=True))

    def mean(self, weights: Callable):
        """<w n>, the sum over all modes per site of weights times occupations, without any array of all modes.

        Args:
            weights: the function (parameters, modes) -> array (..., *bands, sites), differentiated in `parameters`.
        """
        channels, filling = self.channels, self.filling

        def part(given, modes, valid):
            moments, channels = given
            bands = balances(moments, channels, modes, filling, valid)
            w = jnp.asarray(weights(channels.parameters, modes))
            lead = w.ndim - len(channels.shape)
            each = jnp.unstack(w.reshape(*w.shape[:lead], len(bands), w.shape[-1]), axis=-2)
            return sum(w @ b.counted(b.n) for w, b in zip(each, bands, strict=True))

        return total(part, (self.moments, channels), channels.modes) / channels.sites

    def untouched(self):
        """How many modes no channel touches: their occupation is not determined, and set to the mean one."""

        def part(given, modes, valid):
            bands = balances(given[0], given[1], modes, self.filling, valid)
            return sum(jnp.sum(b.counted(b.untouched.astype(float))) for b in bands)

        return total(part, (self.moments, self.channels), self.channels.modes)


def gibbs_ensemble(channels: AbstractChannels, filling) -> Ensemble:
    """The steady ensemble of this many particles per site, as `Channels.steady_state` describes it."""
    require_float64()
    filling = jnp.asarray(real_number("filling", filling), float)
    root = implicit(_solve, _residual, (channels, filling))
    bands = math.prod(channels.shape[:-1])
    outside = ~((filling > 0) & (filling < bands))
    x = check(root.x[:-1], (outside, _FILLING), (~jnp.all(channels.rates >= 0), _RATES), (root.failed, _NOT_FOUND))
    return Ensemble(x.reshape(2, -1), filling, root.change, root.steps, channels)


_FILLING = Failure("filling must be above 0 and below the number of bands")
_RATES = Failure("the rates of channels must be finite and not negative")
_NOT_FOUND = Failure(
    "the steady ensemble was not found: channels that do not join all modes leave it undetermined, or a number is infinite or NaN"
)


# ---- the sums -------------------------------------------------------------------------------------------


def _weights(channels: AbstractChannels, modes) -> list[Channel]:
    """Each channel's weights at these modes."""

    def bounded(rate, channel):
        if channel.tilt is None:
            return channel
        tilt = jnp.where(rate > 0, channel.tilt, jnp.clip(channel.tilt, -_IDLE, _IDLE))
        return Channel(channel.gain, channel.loss, tilt)

    return [bounded(rate, channel) for rate, channel in zip(channels.rates, channels.named(modes).values(), strict=True)]


def balances(moments, channels: AbstractChannels, modes, filling, valid=None) -> list[Balance]:
    """Each band of one portion: loops over separate arrays run on the vector units, those over the bands of one do not."""
    named = _weights(channels, modes)
    shape = shape_of(named, jax.tree.leaves(modes)[0].shape[-1])
    bands = math.prod(shape[:-1])

    def split(part):
        if part is None or jnp.ndim(part) < 2:
            return [part] * bands
        return jnp.unstack(jnp.broadcast_to(part, shape).reshape(bands, -1))

    parts = zip(*(zip(split(c.gain), split(c.loss), split(c.tilt), strict=True) for c in named), strict=True)
    return [Balance(moments, channels.rates, band, filling / bands, shape[-1], valid) for band in parts]


class Balance:
    """The modes (m,) of one band and portion, in balance with given moments.

    With c = (log X + log Y)/2 and d_q = (tilt_q + log Y - log X)/2 a channel gains gain e^{c-d} and loses loss e^{c+d}.
    Everything is kept relative to e^m, m_q the largest |d_q|, so that exponents of several hundred are fine; m cancels.
    """

    def __init__(self, moments, rates, channels, mean, width, valid=None):
        self.width, self.valid = width, valid
        every = range(len(channels))
        c, mu = (moments[0] + moments[1]) / 2, moments[0] - moments[1]
        gains, losses, tilts = map(list, zip(*channels, strict=True))
        # Each of these is wanted many times, and costs more than to fetch it.
        gains, losses, tilts = lax.optimization_barrier((gains, losses, tilts))
        tilted = [k for k in every if tilts[k] is not None]
        d = [(tilts[k] - mu[k]) / 2 if k in tilted else -mu[k] / 2 for k in every]
        m = _largest(d, tilted, rates)
        self.up, self.down, one = lax.optimization_barrier(_exponentials(d, tilted, m))
        strong = rates * _exp(c)
        into, out = [strong[k] * gains[k] for k in every], [strong[k] * losses[k] for k in every]
        gain = sum(i * e for i, e in zip(into, self.down, strict=True))
        loss = sum(o * e for o, e in zip(out, self.up, strict=True))
        total = jnp.broadcast_to(gain + loss, (width,))
        self.untouched = total == 0
        over = jnp.where(self.untouched, 0.0, 1 / jnp.where(self.untouched, 1.0, total))
        self.over = lax.optimization_barrier(over)
        self.n = jnp.where(self.untouched, mean, gain * self.over)
        self.gain, self.loss = jnp.where(self.untouched, mean, gain), jnp.where(self.untouched, 1 - mean, loss)
        self.one, self.gains, self.losses = one * self.over, gains, losses

        def pair(k, j):
            # e^{d_k - d_j - m}
            if k == j:
                return one
            if j not in tilted:
                return self.up[k] * jnp.exp(-d[j])
            if k not in tilted:
                return self.down[j] * jnp.exp(d[k])
            return _exp(d[k] - d[j] - m)

        # n e^d and (1 - n) e^-d, neither of which is small where the other factor is large.
        self.filled = [sum(into[j] * pair(k, j) for j in every) * self.over for k in every]
        self.empty = [sum(out[j] * pair(j, k) for j in every) * self.over for k in every]

    @property
    def lagrange(self):
        """lambda (m,)."""
        return jnp.log(self.loss) - jnp.log(self.gain)

    def counted(self, x):
        """x, without the modes that only pad the last portion."""
        x = jnp.broadcast_to(x, (self.width,))
        return x if self.valid is None else x * self.valid


def _largest(d, tilted, rates):
    """The largest |d| of the channels that are tilted and in use."""
    if not tilted:
        return jnp.zeros(())
    counting = [jnp.where(rates[k] > 0, jnp.abs(d[k]), 0.0) for k in tilted]
    return lax.stop_gradient(jnp.max(jnp.stack(counting), axis=0))


def _exponentials(d, tilted, m):
    """e^{d_k - m}, e^{-d_k - m} and e^{-m}."""
    one = jnp.exp(-m)
    up = [_exp(x - m) if k in tilted else jnp.exp(x) * one for k, x in enumerate(d)]
    down = [_exp(-x - m) if k in tilted else jnp.exp(-x) * one for k, x in enumerate(d)]
    return up, down, one


def _exp(x):
    return jnp.exp(jnp.minimum(x, _LARGEST))


def total(part: Callable, given, modes):
    """The sum of part(given, modes, valid) over portions of the modes, differentiable in `given` with one portion's memory."""
    n = jax.tree.leaves(modes)[0].shape[-1]
    most = _PORTION if jax.default_backend() == "cpu" else _PORTION * _TIMES_MORE_ELSEWHERE
    portions = -(-n // most)
    if portions == 1:
        return part(given, modes, None)
    length = -(-n // portions)
    pad = portions * length - n

    def cut(x):
        if pad:
            x = jnp.concatenate([x, x[..., -pad:]], axis=-1)
        return jnp.moveaxis(x.reshape(*x.shape[:-1], portions, length), -2, 0)

    cuts = jax.tree.map(cut, modes)
    valid = (jnp.arange(portions * length) < n).astype(float).reshape(portions, length) if pad else None

    # The arrays of a portion are computed again on the way back: kept, they would be those of all
    # modes.
    @jax.checkpoint
    def one(given, here):
        return part(given, *here)

    shape = jax.eval_shape(one, given, jax.tree.map(lambda x: x[0], (cuts, valid)))

    def add(so_far, here):
        return jax.tree.map(jnp.add, so_far, one(given, here)), None

    return lax.scan(add, jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shape), (cuts, valid))[0]


def _residual(x, given):
    """f (2 channels + 1,) at log X, log Y and a multiplier that is zero at the root.

        log(<l_c n>/X_c) + s/2,   log(<g_c (1-n)>/Y_c) - s/2,   <n> - filling

    One combination of the first ones holds identically, because particles are conserved; s takes its place.
    """
    channels, filling = given

    def part(given, modes, valid):
        moments, channels, filling = given

        def sums(b):
            out = [loss * n for loss, n in zip(b.losses, b.filled, strict=True)]
            into = [gain * n for gain, n in zip(b.gains, b.empty, strict=True)]
            return jnp.stack([jnp.sum(b.counted(x)) for x in (*out, *into, b.n)])

        return sum(map(sums, balances(moments, channels, modes, filling, valid)))

    moments = x[:-1].reshape(2, -1)
    sums = total(part, (moments, channels, filling), channels.modes) / channels.sites
    return _equations(moments, sums, x[-1], filling)


def _equations(moments, sums, s, filling):
    C = moments.shape[1]
    c = (moments[0] + moments[1]) / 2
    back = jnp.log(sums[: 2 * C]) - jnp.concatenate([c, c])
    return jnp.concatenate([back[:C] + s / 2, back[C:] - s / 2, (sums[-1] - filling)[None]])


def _newton(x, channels, filling, modes):
    """f and its Jacobian, from one round of sums: the products of two short lists of arrays."""
    moments = x[:-1].reshape(2, -1)
    C = moments.shape[1]
    rates, c = channels.rates, (moments[0] + moments[1]) / 2

    def products(b):
        left = [b.losses[k] * b.up[k] * b.over for k in range(C)] + [b.gains[k] * b.down[k] * b.over for k in range(C)]
        left = _matrix([b.counted(part) for part in (*left, b.one, 1.0)])
        right = [b.gains[k] * b.empty[k] for k in range(C)] + [b.losses[k] * b.filled[k] for k in range(C)]
        return left @ _matrix([jnp.broadcast_to(r, left.shape[1:]) for r in [*right, b.n]]).T

    def part(given, modes, valid):
        return sum(map(products, balances(given[0], given[1], modes, filling, valid)))

    S = total(part, (moments, channels), modes) / jax.tree.leaves(modes)[0].shape[-1]
    sums = jnp.concatenate([S[-1, C : 2 * C], S[-1, :C], S[-1, -1:]])
    f = _equations(moments, sums, x[-1], filling)
    # dn = (rate e^c / total) (gain (1-n) e^-d dlogX - loss n e^d dlogY)
    weight = jnp.concatenate([rates, -rates]) * jnp.tile(_exp(c), 2)
    # Automatic differentiation of the sums would go over all modes once for each unknown; as one
    # product of two thin matrices for each portion, value and Jacobian take one round.
    moved = S[: 2 * C + 1, : 2 * C] * weight
    sign = jnp.repeat(jnp.array([1.0, -1.0]), C)
    upper = moved[: 2 * C] * (sign / sums[: 2 * C])[:, None] - jnp.eye(2 * C)
    J = jnp.zeros((2 * C + 1, 2 * C + 1)).at[: 2 * C, : 2 * C].set(upper).at[: 2 * C, -1].set(sign / 2).at[-1, : 2 * C].set(moved[-1])
    return f, J


def _matrix(rows):
    """These rows as a matrix, one written after the other: a loop over all of them at once is not vectorised."""
    rows = lax.optimization_barrier(rows)
    matrix = jnp.zeros((len(rows), rows[0].size))
    for k, row in enumerate(rows):
        matrix = lax.dynamic_update_slice(matrix, row[None], (k, 0))
    return lax.optimization_barrier(matrix)


def _solve(given) -> Root:
    channels, filling = lax.stop_gradient(given)
    x, steps = _start(channels, filling), 0
    C = channels.rates.size
    mass = jnp.ones(2 * C + 1).at[-1].set(0.0)
    if channels.sample is not None:
        # A sample of the modes leads close to the root: the sums over all of them are taken a few
        # times only.
        first = search(lambda x: _newton(x, channels, filling, channels.sample), x, mass, 1.0)
        x, steps = jnp.where(first.failed, x, first.x), first.steps
    found = search(lambda x: _newton(x, channels, filling, channels.modes), x, mass, 1.0 if channels.sample is None else jnp.inf)
    return Root(found.x, found.jacobian, found.change, found.steps + steps)


def _start(channels: AbstractChannels, filling):
    """The moments of the equilibrium that the tilted channels alone would make, n = 1/(1 + e^{tilt - mu})."""
    modes = channels.modes if channels.sample is None else channels.sample
    named = _weights(channels, modes)
    shape = shape_of(named, jax.tree.leaves(modes)[0].shape[-1])
    n = filling / math.prod(shape[:-1])
    tilted = [(rate, c.tilt) for rate, c in zip(channels.rates, named, strict=True) if c.tilt is not None]
    mean = sum(rate * tilt for rate, tilt in tilted) / jnp.maximum(sum(rate for rate, _ in tilted), 1e-300) if tilted else 0.0
    mean = jnp.broadcast_to(mean, shape)
    # n must be that on average: bisection, which needs no more digits than a start does.
    edge = jnp.log(n / (1 - n))

    def halve(_, ends):
        low, high = ends
        middle = (low + high) / 2
        below = jnp.mean(jax.nn.sigmoid(middle - mean)) < n
        return jnp.where(below, middle, low), jnp.where(below, high, middle)

    low, high = lax.fori_loop(0, 40, halve, (jnp.min(mean) + edge, jnp.max(mean) + edge))
    full, empty = (jax.nn.log_sigmoid(sign * ((low + high) / 2 - mean)) for sign in (1, -1))
    X, Y = [], []
    for c in named:
        half = 0.0 if c.tilt is None else c.tilt / 2
        X.append(_log_mean(half + full, c.loss, shape))
        Y.append(_log_mean(empty - half, c.gain, shape))
    return jnp.concatenate([jnp.stack(X + Y), jnp.zeros(1)])


def _log_mean(exponent, weight, shape):
    return jax.nn.logsumexp(exponent, b=jnp.broadcast_to(weight, shape)) - jnp.log(shape[-1])
