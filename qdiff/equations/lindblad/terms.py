"""The terms of a Lindblad equation: what `Lindblad` is made of, for all that needs them and solves nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ...generator import AbstractGenerator
from ...operators.checks import known
from ...operators.operator import Operator
from ...operators.structure import is_constant
from ...results import Failure, Found, check
from .eigenbasis import turned
from .jumps import Jump, same_space


class AbstractLindblad(AbstractGenerator):
    """A Lindblad equation's Hamiltonian and jumps, as `Lindblad` documents them; what is solved for is in `Lindblad`."""

    H: Operator
    jumps: dict[str, tuple[Jump, ...]]
    frame: Operator | None = None
    splitting: jax.Array | None = None

    @property
    def space(self):
        return self.H.space

    @property
    def hamiltonian(self) -> Operator:
        """H in the original basis."""
        return self.out_of_frame(self.H)

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(self.jumps)

    def into_frame(self, op: Operator) -> Operator:
        """V^dag op V, of an observable or a density matrix on the generator's space."""
        if not isinstance(op, Operator):
            raise TypeError(f"what is measured or given as a state must be an Operator, but was {type(op).__name__}")
        if not same_space(op, self.H):
            raise ValueError(f"what is measured or given as a state acts on {op.space!r}, but the generator on {self.space!r}")
        return op if self.frame is None else turned(op, self.frame)

    def out_of_frame(self, op: Operator) -> Operator:
        """V op V^dag."""
        return op if self.frame is None else self.frame @ op @ self.frame.dag


def hermitian(H: Operator, name: str = "H") -> Operator:
    """H, if it is Hermitian; a traced one whose structure does not show it is checked when its numbers are known."""
    refuse_infinite(name, H.values)
    if H.is_hermitian:
        return H if H.dag.pattern == H.pattern else (H + H.dag) * 0.5  # rounding may leave entries without a partner
    if is_constant(H.values):
        worst = np.abs(H.dense() - H.dense().conj().T).max()
        raise ValueError(f"{name} must be Hermitian, but differs from its adjoint by {worst:.3g}")
    # A matrix given as one traced array hides its symmetry from the probe: check the numbers, keep the pattern.
    symmetric = (H + H.dag) * 0.5
    residue = (H + symmetric * -1).values
    scale = jnp.max(jnp.abs(H.values))
    skew = jnp.max(jnp.abs(residue), initial=0.0) > 1e-12 * scale
    values = check(symmetric.values, (skew, Failure(f"{name} must be Hermitian, but differs from its adjoint", ValueError)))
    return Operator(symmetric.pattern, values, H.space, probe=symmetric.probe)


def baths(name: str, given) -> dict:
    """A mapping by the names of baths, as a dictionary."""
    if not isinstance(given, Mapping):
        raise TypeError(f"{name} must map the name of each bath to what it does, but was {type(given).__name__}")
    out = {str(label): value for label, value in given.items()}
    if len(out) < len(given):
        raise ValueError(f"{name} must have distinct names, but has {list(given)}")
    return out


def refuse_infinite(name: str, values):
    if known(values) and not np.all(np.isfinite(np.asarray(values))):
        raise ValueError(f"{name} must be finite, but has an entry that is infinite or NaN")


def refuse_rate(label: str, rate):
    if not known(rate):
        return
    wrong = [r for r in np.atleast_1d(np.asarray(rate, float)) if not 0 <= r < np.inf]
    if wrong:
        cause = "; a flat spectrum has no finite rate at zero frequency" if np.isinf(wrong[0]) else ""
        raise ValueError(f"the rates of bath {label!r} must be finite and not negative, but one is {wrong[0]:g}{cause}")


@jax.jit
def allowed_rates(rates):
    """Which rates are finite and not negative.

    A function of its own, by whose name a program of time knows that this comparison is a check and no feature of the
    generator: it is made at every time, and no step has to end where it changes.
    """
    return (rates >= 0) & (rates < jnp.inf)


def refusals(generator: AbstractLindblad) -> list[Found]:
    """Why rates are refused: what is wrong with the arguments that they were made of, then which baths have a wrong rate."""
    found: dict[str, Any] = {}
    for label in generator.labels:
        for fault in (f for j in generator.jumps[label] for f in j.faults):
            sentence = f"{fault.sentence} (bath {label!r})"
            found[sentence] = fault.there | found.get(sentence, False)
    for label in generator.labels:
        rates = [jnp.ravel(jnp.asarray(j.rate, float)) for j in generator.jumps[label]]
        wrong = ~jnp.all(jnp.array([jnp.all(allowed_rates(r)) for r in rates], bool))
        found[f"a rate of bath {label!r} is negative or not finite"] = wrong
    return [Found(there, Failure(sentence)) for sentence, there in found.items()]
