"""The rotor device as a rectifier: of heat (Fig. 4) and of angular momentum (Fig. 5), against the asymmetry of its couplings."""

from __future__ import annotations

import functools

import numpy as np

from ..models.rotor.device import RotorRectifier
from ..studies.sweep import sweep
from .claims import number, numbers, true
from .published import Published
from .rotor_engine import PAPER
from .style import BLUE, GREEN, RED, label, panels
from .variables import largest, quantity

_MERITS = ("rectification", "heat_flow", "angular_rectification", "angular_flow", "angular_momentum_forward", "angular_momentum_reverse")
_HOT = (0.01, 0.02, 0.03)
_COLORS = (RED, BLUE, GREEN)
# Weight -> marker, its size, and its face if it is not filled: the first two often coincide.
_WEIGHTS: dict[float, tuple[str, float, str | None]] = {0.0: ("o", 11.0, "none"), 0.5: ("s", 5.0, None), 1.0: ("^", 6.0, None)}


@functools.lru_cache
def _curves(quick: bool):
    """Rectifications and flows of both runs against chi, at three temperatures of the hot bath."""
    # Towards 1 the curves turn back quickly.
    chi = 0.98 * np.sin(np.linspace(0, np.pi / 2, 45 if quick else 181))
    return sweep(RotorRectifier(), _MERITS, beta2=_HOT, chi=chi, progress=False).drop_vars("failure")


class _Rectification(Published):
    """Rectification against flow as chi grows `until` a value, and the largest of their weighted sums."""

    merits: tuple[str, ...]  # rectification and flow first
    until: float
    legend: str | tuple[float, float]

    def devices(self):
        return {"rectifier": RotorRectifier()}

    def compute(self, quick):
        from scipy.interpolate import CubicSpline

        data = _curves(quick)[list(self.merits)]
        shown = data.sel(chi=data.chi <= self.until + 1e-9)
        r, j = data[self.merits[0]], data[self.merits[1]]
        best = np.empty((3, len(data.beta2), len(_WEIGHTS)))
        for row in range(len(data.beta2)):
            R, J = (shown[name].isel(beta2=row).values for name in self.merits[:2])
            chi = shown.chi.values
            where = [largest(chi, weight * R + (1 - weight) * J)[0] for weight in _WEIGHTS]
            best[:, row] = where, CubicSpline(chi, R)(where), CubicSpline(chi, J)(where)
        dims, text = ("beta2", "weight"), "weight of rectification against flow"
        about = "asymmetry at which the weighted performance is largest"
        return data.assign_coords(weight=quantity("weight", list(_WEIGHTS), r"\alpha", "1", text)).assign(
            best_chi=quantity(dims, best[0], r"\chi^*", "1", about),
            best_rectification=quantity(dims, best[1], r.symbol, "1", "rectification there"),
            best_flow=quantity(dims, best[2], j.symbol, j.units, "flow there"),
        )

    def paint(self, data):
        out, axes = panels(5.6, 4.0)
        data = data.sel(chi=data.chi <= self.until + 1e-9)
        r, j = data[self.merits[0]], data[self.merits[1]]
        for row, color in enumerate(_COLORS):
            one = data.isel(beta2=row)
            axes.plot(r[row], j[row], color=color, label=rf"$\beta_2$ = {float(one.beta2):g}")
            axes.plot(r[row, 0], j[row, 0], "|", color=color, ms=9, mew=1.5)
            for column, (marker, size, face) in enumerate(_WEIGHTS.values()):
                at = float(one.best_rectification[column]), float(one.best_flow[column])
                edge, width = (color, 1.2) if face else ("k", 0.7)
                axes.plot(*at, marker, mfc=face or color, mec=edge, ms=size, mew=width, zorder=4)
        axes.plot([], [], "|", color="k", ms=9, mew=1.5, ls="", label=r"$\chi$ = 0")
        for weight, (marker, size, face) in _WEIGHTS.items():
            text = rf"largest $\Gamma_{{{weight:g}}}$"
            axes.plot([], [], marker, mfc=face or "0.7", mec="k", ms=size, ls="", label=text)
        axes.set(xlabel=label(r), ylabel=label(j))
        axes.legend(loc=self.legend, ncols=2)
        return out


class HeatRectification(_Rectification):
    name = "rotor-4"
    source = f"{PAPER}, Fig. 4"
    title = "Rectification against heat flow"
    caption = (
        "Heat rectification and the larger of the two heat flows as the asymmetry of the couplings, χ, grows from 0 to 0.98, for "
        "three temperatures of the hot bath; markers where αR + (1 - α)J is largest. Global master equation, β1 = 0.1, βr = 0.09, B1 "
        "= 4, B2 = 10, g = 0.5, λ = 0.1, γ = 5e-5. Chosen, because the paper leaves them open: β2 = 0.01, 0.02, 0.03, I = 1, cutoff Ω "
        "= 20; rotor levels -22 to 35. The flow has the unit of an energy: with this Ohmic density g has none, and the printed J, a "
        "current over λg², is not a number. At χ = 1 the first bath is cut off and R = 1 trivially."
    )

    merits, until, legend = _MERITS[:2], 0.98, (0.02, 0.17)

    def claims(self, data):
        low = data.sel(chi=data.chi <= 0.6)
        rising = all(bool((np.diff(low[name].transpose("beta2", "chi"), axis=1) > 0).all()) for name in ("rectification", "heat_flow"))
        at_flow, at_rectification = data.best_chi.values[:, 0], data.best_chi.values[:, 2]
        flows, rectifications = data.best_flow.values[:, 0], data.best_rectification.values[:, 2]
        found = f"χ = {numbers(at_flow)}; then {numbers(at_rectification)}"
        spread = f"J {numbers(flows)}; R {numbers(rectifications)}"
        ratio = flows[0] / flows[-1], rectifications[0] / rectifications[-1]
        return [
            true("R and J first rise with χ", rising, "up to χ = 0.6 at all three temperatures"),
            true("J peaks first, then R", bool((at_flow < at_rectification).all()), found),
            true("a hotter bath gives a much larger maximum of J", ratio[0] > 1.5, spread),
            true("and an only slightly larger maximum of R", 1 < ratio[1] < 1.1, f"ratio {number(ratio[1])}, of J {number(ratio[0])}"),
        ]


class AngularRectification(_Rectification):
    name = "rotor-5"
    source = f"{PAPER}, Fig. 5"
    title = "Rectification of angular momentum"
    caption = (
        "As Fig. 4, for the rotor's mean angular momentum: the two runs turn the rotor in opposite directions, so that R, with signed "
        "momenta as printed, exceeds 1, and has a pole near χ = 0.988 where they cancel. The curves therefore end at χ = 0.95, and "
        "the largest R lies at χ = 0. Parameters as in Fig. 4."
    )

    merits, until, legend = _MERITS[2:], 0.95, "lower right"

    def claims(self, data):
        flows, at_flow = data.best_flow.values[:, 0], data.best_rectification.values[:, 0]
        return [
            true("a hotter bath gives a larger angular momentum", bool((np.diff(flows) < 0).all()), f"J {numbers(flows)}"),
            true(
                "a colder hot bath gives a slightly larger R (where J is largest)",
                bool((np.diff(at_flow) > 0).all()),
                f"R {numbers(at_flow, 4)}",
            ),
        ]
