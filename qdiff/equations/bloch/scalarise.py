"""A function of one small system, evaluated for many at once with every entry of every small array an array by itself.

`jax.vmap` puts the batch before the axes of the small arrays; on a CPU their handful of entries then fill a fraction of a
vector register, and index operations between them become gathers from memory. Here the function is traced once for
scalars, and each entry of its arrays becomes one array over the whole batch: what moves entries about costs nothing at
run time, entries that are known to be zero drop out, and all that is left is arithmetic on long arrays. Complex entries
are pairs of real ones.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import ShapedArray, Tracer
from jax.extend.core import Literal

from ...linalg.trig import kept, sincos


class Pair(NamedTuple):
    """A complex number; either part is a number known now or an array over the batch."""

    re: Any
    im: Any


def entrywise(function: Callable, arguments, batch) -> Any:
    """function(x, *arguments) for every x of a batch, entry by entry.

    Args:
        function: of a scalar x and of arguments, pytrees of arrays, that are the same for the whole batch.
        batch: real array of any shape.

    Returns:
        What the function returns, with NumPy object arrays in the place of arrays: each entry a number, if it is known
        now, or an array of the shape of `batch` or a scalar; complex ones are `Pair`s.

    Differentiable as the function is.
    """
    leaves, tree = jax.tree.flatten(arguments)
    leaves = [jnp.asarray(leaf) for leaf in leaves]
    shapes = [jax.ShapeDtypeStruct(leaf.shape, leaf.dtype) for leaf in leaves]
    out_tree = []

    def flat(x, *leaves):
        out, structure = jax.tree.flatten(function(x, *jax.tree.unflatten(tree, leaves)))
        out_tree.append(structure)
        return [jnp.asarray(o) for o in out]

    # The function is read off its own program rather than called with entries: it may use any
    # function of JAX, and needs no other form.
    closed = jax.make_jaxpr(flat)(jax.ShapeDtypeStruct((), jnp.result_type(batch)), *shapes)
    # Each argument's derivative is summed over the batch once, and not wherever the argument is used.
    spread = [jnp.broadcast_to(leaf.reshape(leaf.shape + (1,) * jnp.ndim(batch)), leaf.shape + jnp.shape(batch)) for leaf in leaves]
    inputs = [_cells(batch, ())] + [_cells(leaf, shape.shape) for leaf, shape in zip(spread, shapes, strict=True)]
    out = _evaluate(closed.jaxpr, [_constant(c) for c in closed.consts], inputs)
    known: dict[int, Any] = {}
    return jax.tree.unflatten(out_tree[0], [_mapped(lambda part: _once(part, known), cells) for cells in out])


def _mapped(function, cells):
    """An object array of function(part) for all real parts of entries that are not known now."""

    def of(part):
        return part if _is_known(part) else function(part)

    out = np.empty(cells.shape, object)
    for at in np.ndindex(*cells.shape):
        e = cells[at]
        out[at] = Pair(of(e.re), of(e.im)) if isinstance(e, Pair) else of(e)
    return out


def _once(part, known: dict):
    """An array that is computed once, wherever it is used, and its derivative likewise; the same one for the same `part`."""
    if not jnp.issubdtype(jnp.result_type(part), jnp.floating):
        return part
    if id(part) not in known:
        known[id(part)] = part, kept(part)
    return known[id(part)][1]


def unique(tree) -> tuple[list, Callable]:
    """The arrays in a pytree of object arrays, each once; and a function that puts others in their places.

    That function has an argument `known` for what takes the place of numbers known now, by default themselves.
    """
    places: dict[int, int] = {}
    arrays: list = []

    def note(part):
        if id(part) not in places:
            places[id(part)] = len(arrays)
            arrays.append(part)
        return places[id(part)]

    cells, structure = jax.tree.flatten(tree)
    numbered = [_mapped(lambda part: _Place(note(part)), c) for c in cells]

    def again(others, known=None):
        def fill(e):
            if isinstance(e, Pair):
                return Pair(fill(e.re), fill(e.im))
            return others[e.number] if isinstance(e, _Place) else e if known is None else known

        return jax.tree.unflatten(structure, [_picked(np.arange(c.size).reshape(c.shape), [fill(e) for e in c.ravel()]) for c in numbered])

    return arrays, again


class _Place(NamedTuple):
    number: int


def _cells(array, shape):
    """An object array of shape `shape` with the entries of a traced array; of a batch, itself as the only entry."""
    out = np.empty(shape, object)
    for at in np.ndindex(*shape):
        entry = array[at] if shape else array
        out[at] = Pair(jnp.real(entry), jnp.imag(entry)) if jnp.iscomplexobj(entry) else entry
    return out


def _constant(array):
    """An object array of numbers known now, or of traced entries of a constant that is not."""
    if isinstance(array, Tracer):
        return _cells(array, array.shape)
    array = np.asarray(array)
    out = np.empty(array.shape, object)
    for at in np.ndindex(*array.shape):
        value: Any = array[at]
        out[at] = Pair(float(value.real), float(value.imag)) if np.iscomplexobj(array) else value.item()
    return out


def _evaluate(jaxpr, consts, inputs):
    values: dict = dict(zip(jaxpr.constvars, consts, strict=True)) | dict(zip(jaxpr.invars, inputs, strict=True))

    def read(v):
        return _constant(v.val) if isinstance(v, Literal) else values[v]

    for eqn in jaxpr.eqns:
        operands = [read(v) for v in eqn.invars]
        out = _apply(eqn, operands)
        for var, value in zip(eqn.outvars, out, strict=True):
            values[var] = value
    return [read(v) for v in jaxpr.outvars]


def _apply(eqn, operands):
    name = eqn.primitive.name
    inner = eqn.params.get("jaxpr") or eqn.params.get("call_jaxpr") if name in _CALLS else None
    if inner is not None:
        jaxpr, consts = (inner.jaxpr, inner.consts) if hasattr(inner, "consts") else (inner, [])
        return _evaluate(jaxpr, [_constant(c) for c in consts], operands)
    known = all(_is_known(entry) for operand in operands for entry in operand.ravel())
    if known:
        return _fold(eqn, operands)
    if name in _MOVES and all(_is_known(e) for o in operands[1:] for e in o.ravel()) or name == "concatenate":
        return [_moved(eqn, operands)]
    if name == "convert_element_type" and jnp.issubdtype(eqn.params["new_dtype"], jnp.inexact):
        if all(jnp.issubdtype(v.aval.dtype, jnp.inexact) for v in eqn.invars):
            return operands  # a real entry is a complex one without imaginary part
    if name in _ARITHMETIC:
        return [_elementwise(lambda *x: _ARITHMETIC[name](*x), eqn, operands)]
    if name == "dot_general":
        return [_contracted(operands[0], operands[1], eqn.params["dimension_numbers"])]
    if name == "reduce_sum":
        return [_summed(operands[0], eqn.params["axes"], eqn.outvars[0].aval.shape)]
    if name in ("scatter-add", "scatter_add") and all(_is_known(e) for e in operands[1].ravel()):
        return [_scattered(eqn, operands)]
    if name == "scatter" and all(_is_known(e) for e in operands[1].ravel()):
        (a, b), entries = _labels([operands[0], operands[2]])
        with jax.ensure_compile_time_eval():
            index = jnp.asarray(_dense(operands[1], eqn.invars[1].aval))
            at = np.asarray(eqn.primitive.bind(jnp.asarray(a), index, jnp.asarray(b), **eqn.params))
        return [_picked(at, entries)]
    if name == "take_static":
        return [np.take(operands[0], eqn.params["places"].at, axis=eqn.params["axis"])]
    if name == "sum_static":
        return [_summed_into(operands[0], eqn.params["places"], eqn.params["axis"])]
    if name in _ELEMENTWISE and all(v.aval.shape in ((), eqn.outvars[0].aval.shape) for v in eqn.invars):
        return [_elementwise(lambda *x: _bound(eqn, x), eqn, operands)]
    return _batched(eqn, operands)


# Primitives that only call another program: JAX has renamed some of them, and all names are kept.
_CALLS = ("jit", "pjit", "closed_call", "core_call", "remat", "remat2", "checkpoint")
_MOVES = ("broadcast_in_dim", "reshape", "transpose", "squeeze", "expand_dims", "slice", "rev", "gather", "dynamic_slice", "copy")
_CIRCULAR = ("sin", "cos")
# Primitives that are in no list fall back to `jax.vmap`: correct, but slower.
_ELEMENTWISE = frozenset(
    """abs acos acosh and asin asinh atan atan2 atanh cbrt ceil clamp convert_element_type copy copy_p cos cosh digamma div eq erf erf_inv
    erfc exp exp2 expm1 floor ge gt imag integer_pow is_finite le lgamma log log1p logistic lt max min ne nextafter not or pow real rem
    round rsqrt select_n sign sin sinh sqrt square stop_gradient tan tanh xor""".split()
)


def _is_known(entry) -> bool:
    return all(isinstance(part, (int, float, bool)) for part in entry) if isinstance(entry, Pair) else isinstance(entry, (int, float, bool))


def _fold(eqn, operands):
    params = dict(eqn.primitive.get_bind_params(eqn.params))
    # These are numbers, on no mesh of devices, whichever is active where the function is traced.
    if params.get("sharding") is not None:
        params["sharding"] = None
    with jax.ensure_compile_time_eval(), jax.sharding.use_abstract_mesh(jax.sharding.AbstractMesh((), ())):
        known = [jnp.asarray(_dense(o, v.aval)) for o, v in zip(operands, eqn.invars, strict=True)]
        out = eqn.primitive.bind(*known, **params)
    return [_constant(np.asarray(o)) for o in (out if eqn.primitive.multiple_results else [out])]


def _dense(cells, aval):
    out = np.empty(cells.shape, aval.dtype)
    for at in np.ndindex(*cells.shape):
        e = cells[at]
        out[at] = complex(e.re, e.im) if isinstance(e, Pair) else e
    return out


def _labels(operands):
    first, out = 0, []
    for o in operands:
        out.append(np.arange(first, first + o.size).reshape(o.shape))
        first += o.size
    return out, [e for o in operands for e in o.ravel()]


def _moved(eqn, operands):
    """Where each entry of the result comes from is found by moving numbers about."""
    moving = operands if eqn.primitive.name == "concatenate" else operands[:1]
    labels, entries = _labels(moving)
    params = dict(eqn.params)
    if params.get("fill_value", None) is not None:
        params["fill_value"] = -1
    with jax.ensure_compile_time_eval():
        rest = [jnp.asarray(_dense(o, v.aval)) for o, v in zip(operands[len(moving) :], eqn.invars[len(moving) :], strict=True)]
        at = np.asarray(eqn.primitive.bind(*(jnp.asarray(a) for a in labels), *rest, **params))
    return _picked(at, entries)


def _picked(at, entries):
    out = np.empty(at.shape, object)
    for place in np.ndindex(*at.shape):
        out[place] = entries[int(at[place])]
    return out


def _elementwise(rule, eqn, operands):
    shape = eqn.outvars[0].aval.shape
    out = np.empty(shape, object)
    for at in np.ndindex(*shape):
        out[at] = rule(*(o[at] if o.shape == shape else o[()] for o in operands))
    return out


def _bound(eqn, entries):
    """An elementwise primitive on arrays over the batch, or on numbers known now."""
    if eqn.primitive.name == "select_n" and _is_known(entries[0]):
        return entries[1 + int(entries[0])]
    if all(map(_is_known, entries)):
        avals = [ShapedArray((), v.aval.dtype) for v in eqn.invars]
        with jax.ensure_compile_time_eval():
            known = [jnp.asarray(_dense(_single(e), aval)) for e, aval in zip(entries, avals, strict=True)]
            return _constant(np.asarray(eqn.primitive.bind(*known, **eqn.params)))[()]
    arrays = [_array(e, v.aval.dtype) for e, v in zip(entries, eqn.invars, strict=True)]
    if eqn.primitive.name in _CIRCULAR and not jnp.iscomplexobj(arrays[0]):
        return sincos(arrays[0])[_CIRCULAR.index(eqn.primitive.name)]
    out = eqn.primitive.bind(*jnp.broadcast_arrays(*arrays), **eqn.params)
    return Pair(jnp.real(out), jnp.imag(out)) if jnp.iscomplexobj(out) else out


def _single(entry):
    out = np.empty((), object)
    out[()] = entry
    return out


def _array(entry, dtype):
    if isinstance(entry, Pair):
        entry = jax.lax.complex(*jnp.broadcast_arrays(*(jnp.asarray(part, float) for part in entry)))
    return jnp.asarray(entry, dtype)


def _batched(eqn, operands):
    """Anything else: with the batch as the first axis, as `jax.vmap` has it."""
    entries = [part for o in operands for e in o.ravel() for part in (e if isinstance(e, Pair) else (e,))]
    shape = np.broadcast_shapes(*(np.shape(e) for e in entries))

    def stacked(cells, aval):
        flat = []
        for e in cells.ravel():
            value = e.re + 1j * e.im if isinstance(e, Pair) else e
            flat.append(jnp.broadcast_to(jnp.asarray(value, aval.dtype), shape).ravel())
        return jnp.stack(flat, axis=-1).reshape(-1, *cells.shape)

    arrays = [stacked(o, v.aval) for o, v in zip(operands, eqn.invars, strict=True)]
    params = eqn.primitive.get_bind_params(eqn.params)
    out = jax.vmap(lambda *x: eqn.primitive.bind(*x, **params))(*arrays)
    out = out if eqn.primitive.multiple_results else [out]
    results = []
    for o in out:
        cells = np.empty(o.shape[1:], object)
        for at in np.ndindex(*o.shape[1:]):
            e = o[(slice(None), *at)].reshape(shape)
            cells[at] = Pair(jnp.real(e), jnp.imag(e)) if jnp.iscomplexobj(e) else e
        results.append(cells)
    return results


# ---- arithmetic that knows zeros and complex pairs ------------------------------------------------------------


def _zero(x) -> bool:
    return isinstance(x, (int, float)) and x == 0


def _radd(a, b):
    return b if _zero(a) else a if _zero(b) else a + b


def _rsub(a, b):
    return a if _zero(b) else -b if _zero(a) else a - b


def _rmul(a, b):
    # A known zero stays zero, whatever it meets: this is what keeps sparse matrices sparse. (XLA
    # does not drop 0 x, because x might be infinite.)
    if _zero(a) or _zero(b):
        return 0.0
    return b if isinstance(a, float) and a == 1 else a if isinstance(b, float) and b == 1 else a * b


def _parts(a):
    return a if isinstance(a, Pair) else Pair(a, 0.0)


def pair(re, im):
    """A complex entry, or a real one if the imaginary part is known to be zero."""
    return re if _zero(im) else Pair(re, im)


def add(a, b):
    if isinstance(a, Pair) or isinstance(b, Pair):
        a, b = _parts(a), _parts(b)
        return Pair(_radd(a.re, b.re), _radd(a.im, b.im))
    return _radd(a, b)


def sub(a, b):
    if isinstance(a, Pair) or isinstance(b, Pair):
        a, b = _parts(a), _parts(b)
        return Pair(_rsub(a.re, b.re), _rsub(a.im, b.im))
    return _rsub(a, b)


def mul(a, b):
    if isinstance(a, Pair) or isinstance(b, Pair):
        a, b = _parts(a), _parts(b)
        return Pair(_rsub(_rmul(a.re, b.re), _rmul(a.im, b.im)), _radd(_rmul(a.re, b.im), _rmul(a.im, b.re)))
    return _rmul(a, b)


def neg(a):
    return Pair(_rsub(0.0, a.re), _rsub(0.0, a.im)) if isinstance(a, Pair) else _rsub(0.0, a)


def conj(a):
    return Pair(a.re, _rsub(0.0, a.im)) if isinstance(a, Pair) else a


def real(a):
    return a.re if isinstance(a, Pair) else a


def imag(a):
    return a.im if isinstance(a, Pair) else 0.0


_ARITHMETIC: dict[str, Callable] = {
    "add": add,
    "add_any": add,
    "sub": sub,
    "mul": mul,
    "neg": neg,
    "conj": conj,
    "real": real,
    "imag": imag,
    "complex": Pair,
}


def _contracted(a, b, numbers):
    (ca, cb), (ba, bb) = numbers
    fa = [i for i in range(a.ndim) if i not in (*ca, *ba)]
    fb = [i for i in range(b.ndim) if i not in (*cb, *bb)]
    batch, left, right = [a.shape[i] for i in ba], [a.shape[i] for i in fa], [b.shape[i] for i in fb]
    a = a.transpose(*ba, *fa, *ca).reshape(*batch, *left, -1)
    b = b.transpose(*bb, *fb, *cb).reshape(*batch, *right, -1)
    out = np.empty((*batch, *left, *right), object)
    for i, j, k in itertools.product(np.ndindex(*batch), np.ndindex(*left), np.ndindex(*right)):
        total: Any = 0.0
        for x, y in zip(a[(*i, *j)], b[(*i, *k)], strict=True):
            total = add(total, mul(x, y))
        out[(*i, *j, *k)] = total
    return out


def _summed(a, axes, shape):
    a = np.moveaxis(a, axes, range(len(axes))).reshape(-1, *shape)
    out = np.empty(shape, object)
    for at in np.ndindex(*shape):
        total: Any = 0.0
        for entry in a[(slice(None), *at)]:
            total = add(total, entry)
        out[at] = total
    return out


def _summed_into(values, places, axis):
    values = np.moveaxis(values, axis, 0)
    out = np.full((places.size, *values.shape[1:]), 0.0, object)
    for term, place in enumerate(places.at):
        for at in np.ndindex(*values.shape[1:]):
            out[(place, *at)] = add(out[(place, *at)], values[(term, *at)])
    return np.moveaxis(out, 0, axis)


def _scattered(eqn, operands):
    """Each entry of the updates is added where a one in its place would end up."""
    operand, index, updates = operands
    out = operand.copy()
    with jax.ensure_compile_time_eval():
        index = jnp.asarray(_dense(index, eqn.invars[1].aval))
        for at in np.ndindex(*updates.shape):
            one = np.zeros(updates.shape)
            one[at] = 1
            for place in np.argwhere(np.asarray(eqn.primitive.bind(jnp.zeros(operand.shape), index, jnp.asarray(one), **eqn.params))):
                out[tuple(place)] = add(out[tuple(place)], updates[at])
    return out
