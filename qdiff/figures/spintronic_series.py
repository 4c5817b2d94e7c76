"""The spintronic engine cycle by cycle: towards its limit cycle without bosons (Fig. 3), and when the left dot is measured (Fig. 5)."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import xarray

from ..models.spintronic.device import SpintronicEngine
from .claims import number, true
from .published import Published
from .style import BLUE, GREY, ORANGE, RED, SKY, label, letter, panels, unit
from .variables import declared, quantity

PAPER = "Lamblin, Bowen, Phys. Rev. B 109, 165423 (2024)"


def cycle_numbers(quick: bool, largest: float = 1e6) -> np.ndarray:
    """Whole numbers up to the largest, evenly in their logarithm; all decades are among them."""
    decades = round(np.log10(largest))
    return np.unique(np.round(np.logspace(0, decades, decades * (15 if quick else 40) + 1)).astype(int))


def cycles(values):
    return quantity("cycle", values, "n", "1", "number of the cycle")


def durations(values, name: str = "tau"):
    return quantity(name, values, r"\tau", "1/meV", "duration of a cycle")


def increments(dims, values):
    return declared(dims, values, SpintronicEngine, "energy_increment")


class _Cycles(Published):
    """Cycles of two durations."""

    preset: ClassVar[dict[str, str]]

    def devices(self):
        engine = SpintronicEngine.preset(**self.preset)
        return {"tau = 1": engine, "tau = 1e-3": engine.replace(tau=1e-3)}


class Approach(_Cycles):
    name = "spintronic-3"
    source = f"{PAPER}, Fig. 3"
    title = "Energy per measurement without bosons"
    caption = (
        "Energy that measuring the right dot gives in cycle n, from (a) |dd> and (b) an equal mixture of |ud> and |dd>, for cycles of "
        "code time 1 (the paper's 4 ps, with its 1/meV = h) and 1e-3; dotted the perturbative result for weak hopping and long "
        "strokes, with the two terms that the printed Eq. (24) lacks and the opposite sign. Energies 8, -3, 1 meV, J = 8, U = 1000, γ "
        "= 0.1, left rates 0.1, right rates 0.01. All curves decay smoothly to exactly zero (a product state is left as it is by "
        "everything): steady increments of peV, random oscillations and branches do not belong to the model; loose tolerances of ODE "
        "solvers make them."
    )
    preset: ClassVar = {"name": "fig3"}

    def compute(self, quick):
        at = cycle_numbers(quick)
        mixture = np.zeros(12)
        mixture[[3, 5]] = 0.5
        engines = list(self.devices().values())
        values = [[engine.series(at, start) for engine in engines] for start in ("dd", mixture)]
        weak = [engines[0].perturbative_increment(mu) for mu in (1.0, 0.5)]
        return xarray.Dataset(
            {
                "energy_increment": increments(("start", "tau", "cycle"), values),
                "perturbative": increments("start", weak),
            },
            {
                "start": ["|dd>", "|ud>, |dd>"],
                "tau": durations([1.0, 1e-3]),
                "cycle": cycles(at),
            },
        )

    def paint(self, data):
        out, axes = panels(7.2, 3.3, 1, 2, sharey=True)
        for k, panel in enumerate(axes):
            one = data.isel(start=k)
            panel.axhline(0, color=GREY, lw=0.7)
            for j, (color, text) in enumerate(((BLUE, r"$\tau$ = 1"), (SKY, r"$\tau$ = 10$^{-3}$"))):
                panel.plot(data.cycle, one.energy_increment[j], color=color, label=text)
            panel.axhline(float(one.perturbative), color=ORANGE, ls=":", label="perturbative")
            panel.set(xscale="log", xlim=(1, 1e6), xlabel="cycle $n$")
            panel.set_yscale("symlog", linthresh=1e-9, linscale=0.5)
            panel.set_yticks([-1e-3, -1e-6, 0, 1e-6, 1e-3])
            letter(panel, "ab"[k], ("from |dd>", "from half |ud>, half |dd>")[k])
        axes[0].set(ylabel=label(data.energy_increment), ylim=(-5e-3, 5e-3))
        axes[0].legend(loc="upper left")
        return out

    def claims(self, data):
        n, values = data.cycle.values, data.energy_increment.values
        first = values[0, 0]
        low, late = int(np.argmin(first)), n >= 1e5
        rise = f"least, {number(first[low], 2)} meV, near n = {number(n[low], 1)}; {number(first[n == 10**5][0], 2)} at 1e5"
        largest = np.abs(values[:, 0, -1]).max()
        falls = bool((np.diff(np.abs(first[n >= 1e4])) <= 0).all())
        at = [np.abs(values[k, 0][n == 10**5][0]) for k in (0, 1)]
        printed = bool(np.sign(data.perturbative[0]) == 1)
        exact = "0, and so at every rate of the leads"
        return [
            true(
                "from |dd> the increment is negative and rises to 0 within 1e5 cycles", first[low] < 0 and abs(first[late][0]) < 1e-6, rise
            ),
            true("then it oscillates at random until cycle 4e5", not falls, "smooth exponential decay"),
            true("and settles at 2.4 peV per cycle", largest > 1e-9, exact, "2.4 peV"),
            true("from the mixture convergence is faster", at[1] < at[0], f"{number(at[1], 2)} beside {number(at[0], 2)} meV at n = 1e5"),
            true("towards two branches, 2.9 peV on average", largest > 1e-9, exact, "2.9 peV"),
            true(
                "to second order in hopping the increment has the sign of β",
                printed,
                f"the opposite: {number(data.perturbative[0])} meV for β > 0",
            ),
        ]


class LeftDot(_Cycles):
    name = "spintronic-5"
    source = f"{PAPER}, Fig. 5"
    title = "Energy per measurement when the charge of the left dot is measured"
    caption = (
        "From |ud>, (a) unselectively, in cycles of code time 1 and 1e-3, and (b) selectively, the coherence energy -<C> before each "
        "measurement in one run of a random seed, cycles of code time 1. U = γ = 1000, all rates of the leads 0.1, no bosons. "
        "Unselective measurements are a Markov chain on eight states, which forgets its start: the fluctuations of the published "
        "panel (a) are not there; those of panel (b) are, and stay."
    )

    preset: ClassVar = {"name": "fig5", "measured": "charge_left"}

    def compute(self, quick):
        at = cycle_numbers(quick)
        slow, fast = self.devices().values()
        run = slow.trajectories(0, 2000, 16, "ud").given
        given = quantity(
            ("run", "selective_cycle"), run, r"-\langle C \rangle", "meV", "coherence energy before each selective measurement"
        )
        return xarray.Dataset(
            {"energy_increment": increments(("tau", "cycle"), [e.series(at, "ud") for e in (slow, fast)]), "selective": given},
            {
                "tau": durations([1.0, 1e-3]),
                "cycle": cycles(at),
                "selective_cycle": quantity("selective_cycle", np.arange(1, 2001), "n", "1", "number of the cycle"),
            },
        )

    def paint(self, data):
        out, (left, right) = panels(7.2, 3.3, 1, 2)
        left.axhline(0, color=GREY, lw=0.7)
        for j, (color, text) in enumerate(((BLUE, r"$\tau$ = 1"), (ORANGE, r"$\tau$ = 10$^{-3}$"))):
            left.plot(data.cycle, data.energy_increment[j], ("o-", "s--")[j], ms=(4, 2)[j], color=color, label=text)
        left.set(xscale="log", xlim=(1, 1e6), xlabel="cycle $n$", ylabel=label(data.energy_increment))
        left.legend()
        right.plot(data.selective_cycle, data.selective[0], ".", ms=2.5, color=RED)
        right.set(xlim=(0, 2000), xlabel="cycle $n$", ylabel=f"${data.selective.symbol}$" + unit("meV"))
        letter(left, "a", "unselective")
        letter(right, "b", "selective")
        return out

    def claims(self, data):
        n, first = data.cycle.values, data.energy_increment.values[0]
        late = np.abs(first[n >= 300]).max()
        spread = float(np.std(data.selective.values[:, 100:]))
        second = float(np.std(data.selective.values[:, 1000:]))
        found = f"below 1e-10 meV from cycle 300 on; {number(first[0])} meV in the first"
        return [
            true("unselective measurements: strong fluctuations over 10^6 cycles", late > 1, found if late < 1e-10 else number(late)),
            true(
                "selective measurements: strong fluctuations that stay",
                spread > 50 and second > 0.5 * spread,
                f"standard deviation {number(spread, 2)} meV",
            ),
        ]
