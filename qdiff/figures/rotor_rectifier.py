"""The rotor device as a rectifier: of heat (Fig. 4) and of angular momentum (Fig. 5), against the asymmetry of its couplings."""

from __future__ import annotations

import functools

import numpy as np

from ..models.rotor.device import RotorRectifier
from ..studies.sweep import sweep
from .claims import number, numbers, true
from .published import Published
from .rotor_engine import PAPER
from .style import BLUE, GREEN, RED, canvas, label
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


def _best(data, rectification: str, flow: str, until: float):
    """The chi <= `until` at which each weighted sum of rectification and flow is largest, and both there: (temperature, weight)."""
    from scipy.interpolate import CubicSpline

    data = data.sel(chi=data.chi <= until + 1e-9)
    chi = data.chi.values
    shape = (len(data.beta2), len(_WEIGHTS))
    where, r, j = np.empty(shape), np.empty(shape), np.empty(shape)
    for row in range(shape[0]):
        one = data.isel(beta2=row)
        R, J = one[rectification].values, one[flow].values
        for column, weight in enumerate(_WEIGHTS):
            where[row, column] = largest(chi, weight * R + (1 - weight) * J)[0]
        r[row], j[row] = CubicSpline(chi, R)(where[row]), CubicSpline(chi, J)(where[row])
    return where, r, j


def _with_dots(data, rectification: str, flow: str, until: float):
    """The data with the optima of the weighted sums, as variables of temperature and weight."""
    where, r, j = _best(data, rectification, flow, until)
    dims = ("beta2", "weight")
    return data.assign_coords(weight=quantity("weight", list(_WEIGHTS), r"\alpha", "1", "weight of rectification against flow")).assign(
        best_chi=quantity(dims, where, r"\chi^*", "1", "asymmetry at which the weighted performance is largest"),
        best_rectification=quantity(dims, r, data[rectification].symbol, "1", "rectification there"),
        best_flow=quantity(dims, j, data[flow].symbol, data[flow].units, "flow there"),
    )


def _paint(axes, data, rectification: str, flow: str, place):
    for row, color in enumerate(_COLORS):
        one = data.isel(beta2=row)
        axes.plot(one[rectification], one[flow], color=color, label=rf"$\beta_2$ = {float(one.beta2):g}")
        axes.plot(one[rectification][0], one[flow][0], "|", color=color, ms=9, mew=1.5)
        for column, (marker, size, face) in enumerate(_WEIGHTS.values()):
            at = float(one.best_rectification[column]), float(one.best_flow[column])
            axes.plot(*at, marker, mfc=face or color, mec=color if face else "k", ms=size, mew=1.2 if face else 0.7, zorder=4)
    axes.plot([], [], "|", color="k", ms=9, mew=1.5, ls="", label=r"$\chi$ = 0")
    for weight, (marker, size, face) in _WEIGHTS.items():
        axes.plot([], [], marker, mfc=face or "0.7", mec="k", ms=size, ls="", label=rf"largest $\Gamma_{{{weight:g}}}$")
    axes.set(xlabel=label(data[rectification]), ylabel=label(data[flow]))
    axes.legend(loc=place, ncols=2)


class HeatRectification(Published):
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

    def devices(self):
        return {"rectifier": RotorRectifier()}

    def compute(self, quick):
        return _with_dots(_curves(quick)[["rectification", "heat_flow"]], "rectification", "heat_flow", 0.98)

    def paint(self, data):
        out = canvas(5.6, 4.0)
        _paint(out.subplots(), data, "rectification", "heat_flow", (0.02, 0.17))
        return out

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


class AngularRectification(Published):
    name = "rotor-5"
    source = f"{PAPER}, Fig. 5"
    title = "Rectification of angular momentum"
    caption = (
        "As Fig. 4, for the rotor's mean angular momentum: the two runs turn the rotor in opposite directions, so that R, with signed "
        "momenta as printed, exceeds 1, and has a pole near χ = 0.988 where they cancel. The curves therefore end at χ = 0.95, and "
        "the largest R lies at χ = 0. Parameters as in Fig. 4."
    )

    def devices(self):
        return {"rectifier": RotorRectifier()}

    def compute(self, quick):
        data = _curves(quick)[["angular_rectification", "angular_flow", "angular_momentum_forward", "angular_momentum_reverse"]]
        return _with_dots(data, "angular_rectification", "angular_flow", 0.95)

    def paint(self, data):
        out = canvas(5.6, 4.0)
        _paint(out.subplots(), data.sel(chi=data.chi <= 0.95), "angular_rectification", "angular_flow", "lower right")
        return out

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
