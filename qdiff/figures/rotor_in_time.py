"""The rotor in time: its levels without and with a load (Figs. 6 and 7), and its powers (Fig. 8)."""

from __future__ import annotations

import numpy as np
import xarray

from ..models.rotor.device import RotorEngine
from .claims import number, true
from .published import Published
from .rotor_engine import PAPER
from .style import BLACK, BLUE, GREEN, ORANGE, RED, label, panels, shades, unit
from .variables import declared, largest, quantity

_TIMES = (1.0, 1e2, 1e3, 1e4, 1e5)


class _Levels(Published):
    """Populations of the rotor's sixteen levels at increasing times."""

    gamma: float
    times = _TIMES

    def devices(self):
        wide = RotorEngine(B1=10.0, B2=10.0, gamma=self.gamma)
        return {"sixteen levels": wide.replace(l_min=-5, l_max=10), "converged": wide}

    def compute(self, quick):
        device, wide = self.devices().values()
        levels = np.arange(device.l_min, device.l_max + 1)
        out = xarray.Dataset(
            {
                "rotor_populations": declared(
                    ("time", "level"), device.rotor_populations(np.array(self.times)), device, "rotor_populations"
                ),
                "stationary": declared("level", device.rotor_populations(), device, "rotor_populations"),
            },
            {
                "time": quantity("time", self.times, "t", "1/energy", "time"),
                "level": quantity("level", levels, "l", "1", "angular momentum"),
            },
        )
        if self.gamma > 0:
            around = np.arange(wide.l_min, wide.l_max + 1)
            means = {
                "mean_momentum": levels @ out.stationary.values,
                "mean_momentum_converged": around @ np.asarray(wide.rotor_populations()),
            }
            out = out.assign({name: declared((), value, device, "angular_momentum") for name, value in means.items()})
        return out

    def paint(self, data):
        out, axes = panels(6.2, 3.6)
        colors = shades("cividis_r", 0.15, 1, len(data.time))
        for k, time in enumerate(data.time.values):
            exponent = round(np.log10(time))
            text = "$t$ = 1" if exponent == 0 else f"$t$ = 10$^{{{exponent}}}$"
            axes.plot(data.level, data.rotor_populations[k], "o-", color=colors[k], label=text)
        axes.plot(data.level, data.stationary, "D--", color=RED, lw=1.1, mfc="none", ms=7, label="steady state")
        axes.set(xlabel=label(data.level), ylabel=label(data.rotor_populations), ylim=(0, None))
        axes.set_xticks(data.level.values)
        out.legend(loc="outside right upper")
        return out


class Acceleration(_Levels):
    name = "rotor-6"
    source = f"{PAPER}, Fig. 6"
    title = "Without a load the rotor accelerates"
    gamma = 0.0
    caption = (
        "Populations of the rotor's levels -5 to 10 at increasing times (lines to guide the eye) and in the steady state that the "
        "truncation imposes. Local master equation, B1 = B2 = 10, β1 = 0.1, β2 = 0.02, I = 1, g = 1, χ = 0, λ = 0.1, no load. The "
        "paper leaves initial state and times open; here each qubit starts at its bath's temperature and the rotor in l = 0."
    )

    def claims(self, data):
        last = data.stationary.values[-1]
        peaks = data.level.values[np.argmax(data.rotor_populations.values, axis=1)]
        onward = bool((np.diff(peaks) >= 0).all()) and peaks[-1] == data.level.values[-1]
        found = f"most occupied at t = 1e5: l = {peaks[-1]}, with {number(last, 2)} finally"
        return [true("the most occupied level moves up and out of the truncated space", onward, found)]


class Load(_Levels):
    name = "rotor-7"
    source = f"{PAPER}, Fig. 7"
    title = "With a load the rotor becomes stationary"
    gamma = 5e-4
    caption = (
        "As Fig. 6, with the dissipative load: γ = 5e-4, βr = 0.09. Sixteen levels, as in the paper, are not enough: 1.5 % of the "
        "population sits in the lowest of them, and the mean angular momentum differs from the converged one (levels -22 to 30)."
    )

    def claims(self, data):
        peak = int(data.level.values[np.argmax(data.stationary.values)])
        edge = float(data.stationary.values[0])
        wrong = float(data.mean_momentum / data.mean_momentum_converged - 1)
        momenta = f"{number(data.mean_momentum, 5)} instead of {number(data.mean_momentum_converged, 5)}"
        found = f"<L> = {momenta}; {number(100 * edge, 2)} % at l = -5"
        return [
            true("the most occupied level stays within the truncated space", 0 < peak < 8, f"l = {peak}"),
            true("the truncation has no effect on results", abs(wrong) < 1e-3, found),
        ]


class Power(Published):
    name = "rotor-8"
    source = f"{PAPER}, Fig. 8"
    title = "The rotor's powers in time"
    caption = (
        "Kinetic, intrinsic and net power of the rotor and the back-action of the baths, at β2/β1 = 0.8; other parameters of Fig. 2 "
        "with I = 1. The upper panel has all four, the lower one the net power alone. The start, which the paper leaves open, has "
        "each qubit at its bath's temperature and the rotor in l = 0. Dashed: minus the heat current from the load in the steady "
        "state, the limit of the intrinsic power. Before t = 1, which is not shown, the powers oscillate."
    )

    def devices(self):
        return {"engine": RotorEngine(beta2=0.08)}

    def compute(self, quick):
        device = self.devices()["engine"]
        times = np.geomspace(1, 1e6, 61 if quick else 181)
        powers = device.powers(times)
        symbols = {"kinetic": r"\dot W_\mathrm{kin}", "intrinsic": r"\dot W_\mathrm{int}", "net": r"\dot W_\mathrm{net}"}
        symbols["back_action"] = r"\dot Q_\mathrm{BA}"
        out = {
            name: quantity("time", getattr(powers, name), symbol, "energy^2", name.replace("_", " ")) for name, symbol in symbols.items()
        }
        out["heat_current_load"] = declared((), device.heat_current_load(), device, "heat_current_load")
        return xarray.Dataset(out, {"time": quantity("time", times, "t", "1/energy", "time")})

    def paint(self, data):
        out, (top, bottom) = panels(6.2, 4.8, 2, sharex=True, height_ratios=(1.7, 1))
        lines = {"kinetic": (BLACK, "-"), "back_action": (ORANGE, "--"), "intrinsic": (BLUE, "-"), "net": (GREEN, "-")}
        for name, (color, line) in lines.items():
            top.plot(data.time, data[name], line, color=color, label=f"{name.replace('_', ' ')}, ${data[name].symbol}$")
        limit = -float(data.heat_current_load)
        top.axhline(limit, color=RED, lw=1, ls="--", label=r"$-\dot Q_r$, stationary")
        top.set(ylabel="power" + unit(data.net.units), xscale="log", xlim=(1, 1e6))
        top.set_yscale("symlog", linthresh=1e-6, linscale=0.4)
        top.set_ylim(-3e-4, 5e-2)
        top.legend(loc="upper right", ncols=3)
        bottom.plot(data.time, data.net, color=GREEN)
        bottom.set(xlabel=label(data.time), ylabel=label(data.net), ylim=(0, None))
        return out

    def claims(self, data):
        times, late = data.time.values, data.time.values > 10
        at, net = largest(np.log(times), data.net.values)
        limit = -float(data.heat_current_load)
        intrinsic, kinetic = data.intrinsic.values, data.kinetic.values
        low, bottom = largest(np.log(times[late]), -intrinsic[late])
        falling = bool((np.diff(kinetic[late]) < 1e-12).all())
        recovers = f"least, {number(-bottom)}, at t = {number(np.exp(low), 2)}, then up to {number(limit)}"
        ends = max(abs(kinetic[-1]), abs(data.net.values[-1])) < 1e-9
        return [
            true("the net power rises to a maximum and then decays", 1 < np.exp(at) < 1e6, f"{number(net)} at t = {number(np.exp(at))}"),
            true("the kinetic power decreases steadily", falling, "after a transient until t = 10"),
            true("the intrinsic power decreases steadily", abs(bottom + limit) < 1e-2 * limit, recovers),
            true("kinetic and net power tend to zero", ends, "below 1e-9 at t = 1e6"),
            true(
                "the intrinsic power tends to minus the load's heat current",
                abs(intrinsic[-1] / limit - 1) < 1e-6,
                number(intrinsic[-1], 5),
                number(limit, 5),
            ),
        ]
