"""The rotor's engine in its steady state: flows, efficiency and coefficient of performance, ergotropies (Figs. 2 and 3)."""

from __future__ import annotations

import functools

import numpy as np

from ..models.rotor.device import RotorEngine
from ..studies.sweep import sweep
from .claims import near, number, numbers, true
from .published import Published
from .style import BLACK, BLUE, GREEN, GREY, ORANGE, PINK, RED, label, letter, panels, unit
from .variables import crossing, crossings, largest, peaks, quantity

PAPER = "Leitch, Hammam, De Chiara (2024)"

_MERITS = (
    "heat_current_hot",
    "heat_current_cold",
    "heat_current_load",
    "power_qubits",
    "power_load",
    "efficiency",
    "cop",
    "ergotropy",
    "ergotropy_rotor",
    "ergotropy_qubits",
    "qubit_populations",
)


def _devices() -> dict[str, RotorEngine]:
    return {f"I = {inertia:g}": RotorEngine(inertia=inertia, l_max=40) for inertia in (1.0, 0.7)}


@functools.lru_cache
def _steady(quick: bool):
    """The figures of merit against β2/β1, for both inertias."""
    ratio = np.linspace(0.02, 0.9, 45 if quick else 177)
    device = _devices()["I = 1"]
    data = sweep(device, _MERITS, inertia=[1.0, 0.7], beta2=ratio * float(device.beta1), progress=False)
    data = data.swap_dims(beta2="ratio").assign_coords(ratio=quantity("ratio", ratio, r"\beta_2/\beta_1", "1", "hot over cold bath's beta"))
    return data.drop_vars("failure")


class _Steady(Published):
    """Figures of merit of the steady state."""

    merits: tuple[str, ...]

    def devices(self):
        return _devices()

    def compute(self, quick):
        return _steady(quick)[list(self.merits)]


class Operation(_Steady):
    name = "rotor-2"
    source = f"{PAPER}, Fig. 2"
    title = "Three regimes of the qubit-rotor machine"
    caption = (
        "Steady heat flows and power against the ratio of inverse temperatures (top; white engine, light grey accelerator, darker "
        "refrigerator), efficiency in the engine's range (middle) and coefficient of performance in the refrigerator's (bottom), "
        "dashed Carnot's. Local master equation, β1 = 0.1, βr = 0.09, B1 = 4, B2 = 10, g = 1, χ = 0, λ = 0.1, γ = 5e-5, rotor levels "
        "-22 to 40. The paper does not give the moment of inertia: I = 1 (left) meets the regimes' first threshold and the "
        "efficiency's local maximum, I = 0.7 (right) both thresholds. Carnot's bound for a refrigerator is drawn as β2/(β1 - β2); the "
        "printed β1/(β1 - β2) is a heat pump's."
    )

    merits = _MERITS[:7]

    def paint(self, data):
        out, axes = panels(7.2, 6.6, 3, 2, sharex=True, sharey="row", height_ratios=(1.5, 1, 1))
        flows = {"heat_current_hot": RED, "heat_current_cold": BLUE, "power_qubits": BLACK, "heat_current_load": GREEN}
        ratio = data.ratio.values
        for column, inertia in enumerate(data.inertia.values):
            one = data.sel(inertia=inertia)
            top, middle, bottom = axes[:, column]
            for name, color in flows.items():
                top.plot(ratio, one[name], color=color, label=f"${one[name].symbol}$")
            top.axhline(0, color=GREY, lw=0.7)
            engine, cold = one.power_qubits.values < 0, one.heat_current_cold.values > 0
            ends = _thresholds(one)
            for panel in (top, middle, bottom):
                panel.axvspan(ends[0], ends[1], color="0.94", lw=0, zorder=0)
                panel.axvspan(ends[1], 0.9, color="0.87", lw=0, zorder=0)
            middle.plot(ratio, np.where(engine, one.efficiency, np.nan), color=RED, label=label(one.efficiency))
            middle.plot(ratio, 1 - ratio, "--", color=GREY, label=r"$\eta_C$")
            bottom.plot(ratio, np.where(cold, one.cop, np.nan), color=BLUE, label=f"${one.cop.symbol}$")
            inside = ratio > ends[1]
            bottom.plot(ratio[inside], (ratio / (1 - ratio))[inside], "--", color=GREY, label=r"$\mathrm{COP}_C$")
            letter(top, "ad"[column], f"$I$ = {inertia:g}")
            letter(middle, "be"[column])
            letter(bottom, "cf"[column])
            bottom.set(xlabel=label(data.ratio), xlim=(0, 0.9), ylim=(0, 2.2))
            top.set_yscale("symlog", linthresh=1e-4)
            top.set_ylim(-6e-3, 6e-2)
            middle.set_ylim(0, 1.02)
            top.legend(loc="upper right", ncols=4, columnspacing=1.0)
            middle.legend(loc="upper right")
            bottom.legend(loc="upper left")
        axes[0, 0].set_ylabel("heat flows, power" + unit(data.power_qubits.units))
        axes[1, 0].set_ylabel(label(data.efficiency))
        axes[2, 0].set_ylabel(label(data.cop))
        return out

    def claims(self, data):
        ratio, out = data.ratio.values, []
        for inertia in data.inertia.values:
            one = data.sel(inertia=inertia)
            engine, cooling = _thresholds(one)
            at = f"(I = {inertia:g})"
            out.append(near(f"the engine's regime ends at β2/β1 = 0.43 {at}", engine, 0.43, 0.006))
            out.append(near(f"the refrigerator's begins at 0.54 {at}", cooling, 0.54, 0.006))
            mode = one.power_qubits.values < 0
            top = max(peaks(ratio[mode], one.efficiency.values[mode]), key=lambda p: p[0])
            out.append(near(f"the efficiency has a local maximum near 0.31 {at}", top[0], 0.31, 0.006))
        one = data.sel(inertia=1.0)
        engine, cooling = _thresholds(one)
        hot, cold, work = one.heat_current_hot.values, one.heat_current_cold.values, one.power_qubits.values
        order = np.where(work < 0, 0, np.where(cold > 0, 2, 1))
        signs = np.all((hot > 0) == (order < 2)) and np.all(np.diff(order) >= 0)
        out.append(true("engine, accelerator, refrigerator follow each other as β2 grows", signs, "in this order, signs as in Table I"))
        eta = np.where(work < 0, one.efficiency.values, 0)
        peak = largest(ratio[work < 0], eta[work < 0])
        out.append(
            true("the local maximum is the efficiency's largest value", peak[0] > 0.2, f"{number(peak[1], 2)} at the smallest ratio")
        )
        share = float(np.interp(0.37, ratio, eta / (1 - ratio)))
        out.append(true("near 0.37 the efficiency is close to Carnot's", share > 0.8, f"{number(share, 2)} of it", "close to 1"))
        cop = largest(ratio[order == 2], one.cop.values[order == 2])
        found = f"zero there, {number(cop[1], 2)} at {number(cop[0], 2)}"
        out.append(true("the refrigerator's COP is largest at its onset", abs(cop[0] - cooling) < 0.02, found, "0.54"))
        away = np.abs(work) > 1e-2 * np.abs(work).max()
        small = float(np.max(np.abs(one.power_load.values / work)[away]))
        out.append(
            true("the load's work is negligible beside the qubits'", small < 1e-4, "below 1e-6 of it" if small < 1e-6 else number(small))
        )
        return out


class Ergotropy(_Steady):
    name = "rotor-3"
    source = f"{PAPER}, Fig. 3"
    title = "Ergotropy stored in the machine"
    caption = (
        "Work that unitaries on the whole device, on the rotor and on the pair of qubits can extract from the steady state, against "
        "the ratio of inverse temperatures. Parameters of Fig. 2; the moment of inertia, which the paper does not give, is 1 (solid) "
        "and 0.7 (dashed). Single qubits hold none. The total and the rotor's are not largest in the limit of small ratios but just "
        "before it, and grow again towards 0.9."
    )

    merits = _MERITS[7:]

    def paint(self, data):
        out, axes = panels(6.2, 3.6)
        for name, color, text in (
            ("ergotropy", BLACK, "total"),
            ("ergotropy_rotor", ORANGE, "rotor"),
            ("ergotropy_qubits", PINK, "qubits"),
        ):
            for inertia, line in ((1.0, "-"), (0.7, "--")):
                known = f"{text}, ${data[name].symbol}$" if inertia == 1.0 else None
                axes.plot(data.ratio, data[name].sel(inertia=inertia), line, color=color, label=known)
        axes.plot([], [], "-", color=GREY, label="$I$ = 1")
        axes.plot([], [], "--", color=GREY, label="$I$ = 0.7")
        axes.axvline(0.4, color=GREY, lw=0.8, ls=":")
        axes.text(0.407, 0.6, "$B_1/B_2$", color="0.35", transform=axes.get_xaxis_transform())
        axes.set(xlabel=label(data.ratio), ylabel="ergotropy [energy]", xlim=(0, 0.9), ylim=(0, None))
        axes.legend(loc="upper right")
        return out

    def claims(self, data):
        one, ratio = data.sel(inertia=1.0), data.ratio.values
        population = one.qubit_populations.values
        end = crossing(ratio, population[:, 1] - population[:, 2])
        out = [near("the qubits' ergotropy vanishes at β2/β1 = B1/B2 = 0.4", end, 0.4, 0.005, 5)]
        beyond = one.ergotropy_qubits.values[ratio > end].max()
        out.append(true("beyond it the pair stays almost passive", beyond < 1e-9, "exactly passive"))
        excited = np.stack([population[:, 0] + population[:, 1], population[:, 0] + population[:, 2]])
        out.append(true("each qubit alone holds no ergotropy", excited.max() < 0.5, "no inversion at any ratio"))
        at = [largest(ratio, one[name].values)[0] for name in ("ergotropy", "ergotropy_rotor", "ergotropy_qubits")]
        out.append(true("total, rotor's and qubits' are largest at small ratios", max(at) < 0.15, f"largest at {numbers(at, 1)}"))
        return out


def _thresholds(one) -> tuple[float, float]:
    """Where the power of the qubits, and where the heat currents, change sign for the last time."""
    ratio = one.ratio.values
    return float(crossings(ratio, one.power_qubits.values)[-1]), float(crossings(ratio, one.heat_current_cold.values)[-1])
