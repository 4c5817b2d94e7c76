"""What a master equation is made of, for all that needs its terms and solves nothing."""

# Annotations are no strings here: Equinox finds its `AbstractVar` in them.
from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
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
from .sandwiches import Sandwich, Term, infinite


class AbstractTerms(AbstractGenerator):
    """A Hamiltonian and the terms of each bath: what every solve knows of a master equation.

    Attributes:
        H: the Hamiltonian, in the frame.
        terms: of each bath, by its name, in the frame. They are kept and not made anew when asked
            for: within a compiled function other entries could vanish than were seen outside.
        frame, splitting: as `Lindblad` documents them.
    """

    H: eqx.AbstractVar[Operator]
    terms: eqx.AbstractVar[Mapping[str, tuple[Term, ...]]]
    frame: eqx.AbstractVar[Operator | None]
    splitting: eqx.AbstractVar[jax.Array | None]

    @property
    def space(self):
        return self.H.space

    @property
    def hamiltonian(self) -> Operator:
        """H in the original basis."""
        return self.out_of_frame(self.H)

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(self.terms)

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


class AbstractLindblad(AbstractTerms):
    """The fields of a Lindblad equation, as `Lindblad` documents them: all of its terms are jumps."""

    H: Operator
    jumps: dict[str, tuple[Jump, ...]]
    frame: Operator | None = None
    splitting: jax.Array | None = None

    @property
    def terms(self) -> Mapping[str, tuple[Jump, ...]]:
        return self.jumps


def listed(
    generator: AbstractTerms, labels: Sequence[str]
) -> tuple[list[tuple[int, Jump]], list[tuple[int, Sandwich]]]:
    """All jumps and all sandwiches with the numbers of their baths: the order of a sector's lists.

    A compiled function is given the baths in another order than they had, hence the `labels`.
    """
    terms = [(b, term) for b, label in enumerate(labels) for term in generator.terms[label]]
    jumps = [(b, term) for b, term in terms if isinstance(term, Jump)]
    return jumps, [(b, term) for b, term in terms if isinstance(term, Sandwich)]


def jumps_of(what: str, generator: AbstractTerms, bath: str) -> tuple[Jump, ...]:
    """The terms of a bath, for what needs them to be jumps.

    Raises:
        ValueError: one is none.
    """
    jumps = tuple(term for term in generator.terms[bath] if isinstance(term, Jump))
    if len(jumps) < len(generator.terms[bath]):
        raise ValueError(
            f"{what} must be of Lindblad form, but bath {bath!r} has terms c A rho B^dag with "
            "different operators A and B, which are no jumps"
        )
    return jumps


def refuse_sandwiches(what: str, given: Any):
    """Refuse a master equation with a bath that is not of Lindblad form, by its name.

    Raises:
        ValueError: as `jumps_of`.
    """
    for bath in given.labels if isinstance(given, AbstractTerms) else ():
        jumps_of(what, given, bath)


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


def refusals(generator: AbstractTerms) -> list[Found]:
    """Why rates are refused: what is wrong with the arguments that they were made of, then which baths have a wrong rate."""
    found: dict[str, Any] = {}
    for label in generator.labels:
        for fault in (f for term in generator.terms[label] for f in term.faults):
            sentence = f"{fault.sentence} (bath {label!r})"
            found[sentence] = fault.there | found.get(sentence, False)
    for label in generator.labels:
        terms = generator.terms[label]
        rates = [jnp.ravel(jnp.asarray(t.rate, float)) for t in terms if isinstance(t, Jump)]
        wrong = ~jnp.all(jnp.array([jnp.all(allowed_rates(r)) for r in rates], bool))
        found[f"a rate of bath {label!r} is negative or not finite"] = wrong
        sandwiches = [t for t in terms if isinstance(t, Sandwich)]
        if sandwiches:
            wrong = jnp.any(jnp.array([infinite(t) for t in sandwiches]))
            found[f"a term of bath {label!r} is not finite"] = wrong
    return [Found(there, Failure(sentence)) for sentence, there in found.items()]
