"""The spintronic engine with bosons: driven by them (Fig. 6) or by a bias of spins (Fig. 7)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray

from ..models.spintronic.device import SpintronicEngine
from .claims import near, number, numbers, true
from .published import Published
from .spintronic_maps import coherence, draw_map, limit_increment, rate, stationary_energy, stroke_energy, varied
from .spintronic_series import PAPER, cycle_numbers, cycles, durations, increments
from .style import BLUE, GREY, ORANGE, RED, canvas, label, letter
from .variables import crossing, declared, quantity

# 140 THz as 1/tau, in 1/meV with 1/meV = h as the paper converts.
_FAST = 1.7271e-3


class Map(NamedTuple):
    """A map of a picture: its variable and coordinates, the ends of its scale, its title."""

    name: str
    x: str
    y: str
    linear: float
    top: float
    title: str


class _Driven(Published):
    """Increments cycle by cycle, above two maps."""

    preset: str
    maps: tuple[Map, Map]

    def devices(self):
        engine = SpintronicEngine.preset(self.preset)
        return {f"tau = {tau:g}": engine.replace(tau=tau) for tau in (1.0, _FAST, 1e-3)}

    def _series(self, quick):
        at, engines = cycle_numbers(quick), list(self.devices().values())
        taus = [float(e.tau) for e in engines]
        return xarray.Dataset(
            {
                "energy_increment": increments(("tau", "cycle"), [e.series(at, "ud") for e in engines]),
                "limit": increments("tau", varied(limit_increment, engines[0], tau=taus)),
                "cycles_to_converge": declared("tau", [e.cycles_to_converge() for e in engines], engines[0], "cycles_to_converge"),
            },
            {"tau": durations(taus), "cycle": cycles(at)},
        )

    def paint(self, data):
        out = canvas(7.4, 5.6)
        grid = out.add_gridspec(2, 2)
        axes = out.add_subplot(grid[0, :])
        texts = (r"$\tau$ = 1", r"$\tau$ = 1.73$\cdot$10$^{-3}$", r"$\tau$ = 10$^{-3}$")
        for k, (color, text) in enumerate(zip((BLUE, RED, ORANGE), texts, strict=True)):
            axes.plot(data.cycle, data.energy_increment[k], color=color, label=text)
            axes.axhline(float(data.limit[k]), color=color, lw=0.8, ls=":")
        axes.axhline(0, color=GREY, lw=0.7)
        axes.set(xscale="log", xlim=(1, 1e6), xlabel="cycle $n$", ylabel=label(data.energy_increment))
        axes.set_yscale("symlog", linthresh=1e-4, linscale=1)
        axes.set_yticks([-100, -1, -1e-2, -1e-4, 0, 1e-4, 1e-2, 1, 100])
        axes.legend(loc="lower right")
        letter(axes, "a")
        for k, one in enumerate(self.maps):
            axes = out.add_subplot(grid[1, k])
            draw_map(out, axes, data, one.name, one.x, one.y, linear=one.linear, top=one.top)
            letter(axes, "bc"[k], one.title)
        return out


class Bosons(_Driven):
    name = "spintronic-6"
    source = f"{PAPER}, Fig. 6"
    title = "The engine driven by bosons between hot leads"
    preset = "fig6"
    maps = (
        Map("stroke", "boson_up", "boson_down", 1.0, 1e3, "one stroke from |ud>"),
        Map("cycle_limit", "boson_up", "boson_down", 1e-5, 1e-1, "limit cycle"),
    )
    caption = (
        "(a) Energy per measurement of the right dot from |ud>, which is assumed, for cycles of code time 1, of 1/(140 THz) with "
        "1/meV = h, and 1e-3; dotted the limit cycles. (b) Coherence energy after one stroke of code time 1e-3 (4 fs in the caption) "
        "from |ud>, against the rates of the bosons; (c) in the limit cycle, which has the sign change that the text ascribes to (b). "
        "U = γ = 1000, all leads' rates 0.1, Λ+ = 2Λ- = 0.01 in (a). The larger Λ+ (spin down to up, downhill) is what a thermal "
        "bath has; the paper calls it the nonthermal case."
    )

    def compute(self, quick):
        out = self._series(quick)
        engine = self.devices()["tau = 0.001"]
        rates = np.logspace(-3, 0, 25 if quick else 61)
        pair = {"boson_up": rates[None, :], "boson_down": rates[:, None]}
        dims = ("boson_down", "boson_up")
        taus = np.logspace(-4, 0, 401)
        every = varied(limit_increment, engine, tau=taus)
        bare = self.devices()["tau = 1"].replace(boson_up=0.0, boson_down=0.0)
        endless = varied(stationary_energy, engine, tau=[1.0])[0]
        watts = engine.watts(out.limit.values / out.tau.values)
        return out.assign(
            stroke=coherence(dims, varied(stroke_energy, engine, **pair), "after one stroke from |ud>"),
            cycle_limit=increments(dims, varied(limit_increment, engine, **pair)),
            largest_increment=increments((), max(every.max(), endless)),
            cycles_without_bosons=declared((), bare.cycles_to_converge(), bare, "cycles_to_converge"),
            power_watts=quantity("tau", watts, "P", "W", "energy per cycle over its duration"),
        ).assign_coords(
            boson_up=rate("boson_up", rates, r"\Lambda^-"),
            boson_down=rate("boson_down", rates, r"\Lambda^+"),
        )

    def claims(self, data):
        limit, top = data.limit.values, float(data.largest_increment)
        rates = data.boson_up.values
        up, down = np.meshgrid(rates, rates)
        clear = np.abs(np.log(down / up)) > 1e-6
        stroke, cycle = data.stroke.values, data.cycle_limit.values
        rule = bool((np.sign(cycle) == np.sign(down - up))[clear].all())
        times = float(data.cycles_to_converge[0]), float(data.cycles_without_bosons)
        saved = 1 - times[0] / times[1]
        nano = data.power_watts.values * 1e9
        found = f"{number(limit[0])} (τ = 1), {number(limit[2])} (1e-3); {number(top)} for endless strokes, the most there is"
        return [
            near("the increment reaches 10 meV", top, 10, 1, text=found),
            near("the power is 100 nW at 140 THz", nano[1], 100, 50, text=f"{number(nano[1], 2)} nW (hbar in the unit of time)"),
            true(
                "after 4 fs from |ud> the engine is passive for Λ- > Λ+", (stroke[up > down] <= 0).all(), "positive for all rates, 650 meV"
            ),
            true("the same in the limit cycle: an engine only for Λ+ > Λ-", rule, "zero exactly at Λ+ = Λ-"),
            true("bosons greatly shorten the time of convergence", saved > 0.5, f"{numbers(times)} cycles with and without (τ = 1)"),
        ]


class SpinBias(_Driven):
    name = "spintronic-7"
    source = f"{PAPER}, Fig. 7"
    title = "The engine driven by a spin bias"
    preset = "fig7"
    maps = (
        Map("left", "left_in", "left_out", 1e-2, 300, "left lead"),
        Map("right", "right_in", "right_out", 1e-2, 300, "right lead"),
    )
    caption = (
        "(a) Energy per measurement of the right dot from |ud>, which is assumed, for cycles of code time 1, of 1/(140 THz) with "
        "1/meV = h, and 1e-3; dotted the limit cycles. (b), (c) Coherence energy of the stationary state, which does not depend on a "
        "start, against the rates of the left and of the right lead (panels (c), (d) of the caption, (b), (c) of the text). U = γ = "
        "1000, left out 0.2, other leads' rates 0.1, Λ+ = 0.01, Λ- = 0.0101. Black: Λ+ TL+ TR- = Λ- TL- TR+, where the current's "
        "driving force vanishes."
    )

    def compute(self, quick):
        out = self._series(quick)
        engine = self.devices()["tau = 0.001"]
        rates = np.logspace(-2, 1, 25 if quick else 61)
        left = varied(stationary_energy, engine, left_in=rates[None, :], left_out=rates[:, None])
        right = varied(stationary_energy, engine, right_in=rates[None, :], right_out=rates[:, None])
        taus = np.linspace(1e-3, 4e-3, 61)
        text = "in the stationary state"
        return out.assign(
            left=coherence(("left_out", "left_in"), left, text),
            right=coherence(("right_out", "right_in"), right, text),
            short=increments("short_tau", varied(limit_increment, engine, tau=taus)),
        ).assign_coords(
            left_in=rate("left_in", rates, "T_L^-"),
            left_out=rate("left_out", rates, "T_L^+"),
            right_in=rate("right_in", rates, "T_R^-"),
            right_out=rate("right_out", rates, "T_R^+"),
            short_tau=durations(taus, "short_tau"),
        )

    def claims(self, data):
        micro = 1e3 * data.limit.values
        n = data.cycle.values
        settled = float(np.abs(data.energy_increment.values[2][n == 10**5] / data.limit.values[2] - 1)[0])
        rates = data.left_in.values
        into, out_ = np.meshgrid(rates, rates)
        away = np.abs(np.log(into / out_)) > 0.02
        left = (np.sign(data.left.values) == np.sign(0.01 * out_ - 0.0101 * into))[away].all()
        right = (data.right.values[out_ < into] > 0).all()
        needed = crossing(data.short_tau.values, 1e3 * data.short.values, 1.4)
        found = f"{number(micro[2])} (τ = 1e-3), {number(micro[1])} (140 THz), {number(micro[0])} (τ = 1)"
        return [
            true(
                "after about 1e5 cycles it is stationary", settled < 0.1, f"by e in {number(data.cycles_to_converge[2])} cycles (τ = 1e-3)"
            ),
            near("and gives 1.4 µeV per cycle", micro[2], 1.4, 0.1, text=f"{found}; 1.4 needs τ = {number(needed)}"),
            true("an engine where TL- < TL+", left, "up to a shift of 1 % by the bosons' asymmetry"),
            true("and where TR+ < TR-", right, "and beyond, up to TR+ = 1.98 TR-, because the left lead is biased"),
        ]
