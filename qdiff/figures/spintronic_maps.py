"""Coherence energy of the spintronic engine against pairs of parameters, after one stroke from |ud> (Fig. 4)."""

from __future__ import annotations

import numpy as np
import xarray

from ..models.spintronic.device import SpintronicEngine
from .claims import number, numbers, true
from .mapped import mapped
from .published import Published
from .spintronic_series import PAPER
from .style import label, letter, panels
from .variables import largest, quantity

_TAIL = (1.0, 10.0, 30.0)
_FEW = (1.0, 3.0, 10.0, 100.0, 1000.0)
# What any map varies: given to all of them, so that they share one program.
_VARIED = ("U", "gamma", "left_in", "left_out", "right_in", "right_out", "boson_up", "boson_down", "tau")


def stroke_energy(engine):
    """-<C> after one stroke from |ud>."""
    return engine.coherence_energy("ud")


def limit_increment(engine):
    """Delta E in the limit cycle."""
    return engine.energy_increment()


def stationary_energy(engine):
    """-<C> in the stationary state: Delta E after an endless stroke."""
    return engine.long_stroke_increment()


def varied(function, engine, **values):
    """The function at values of some of the engine's parameters."""
    fixed: dict = {name: float(getattr(engine, name)) for name in _VARIED}
    return mapped(function, engine, **(fixed | values))


def coherence(dims, values, text: str):
    return quantity(dims, values, r"-\langle C \rangle", "meV", text)


def rate(name: str, values, symbol: str):
    return quantity(name, values, symbol, "meV", name.replace("_", " "))


def draw_map(figure, axes, data, name: str, x: str, y: str, *, linear: float, top: float):
    """A variable of either sign against two logarithmic coordinates, and the line on which it vanishes.

    The scale is linear between -linear and linear, and ends at -top and top.
    """
    from matplotlib.colors import SymLogNorm

    values, across, up = data[name].transpose(y, x).values, data[x], data[y]
    norm = SymLogNorm(linear, linscale=1, vmin=-top, vmax=top, base=10)
    mesh = axes.pcolormesh(across, up, values, norm=norm, cmap="PuOr_r", rasterized=True, shading="nearest")
    axes.set(xscale="log", yscale="log", xlabel=label(across), ylabel=label(up))
    axes.grid(False)
    # Where the values are rounding errors their zero line means nothing.
    known = np.ma.masked_where(np.abs(values) < 1e-8, values)
    if known.min() < 0 < known.max():
        axes.contour(across, up, known, levels=[0], colors="k", linewidths=0.8)
    decades = np.arange(np.ceil(np.log10(linear)), np.floor(np.log10(top)) + 1)
    ticks = (10.0 ** decades[:: max(1, len(decades) // 3)]).tolist()
    bar = figure.colorbar(mesh, ax=axes, ticks=[-t for t in reversed(ticks)] + [0, *ticks], pad=0.02)
    bar.set_label(label(data[name]))
    bar.minorticks_off()


class Maps(Published):
    name = "spintronic-4"
    source = f"{PAPER}, Fig. 4"
    title = "Coherence energy after a stroke from |ud>"
    caption = (
        "Minus the coupling energy after one stroke of code time 1 (4 ps in the paper, which takes 1/meV as h) from |ud>, against "
        "pairs of parameters, the others being U = γ = 1000, all rates of the leads 0.1, no bosons. Black lines: zero. Above "
        "right-hand rates of about 10 the energy does not become chaotic; it decays smoothly, to below what double precision can tell "
        "from zero (white)."
    )

    def devices(self):
        return {"engine": SpintronicEngine.preset("fig4")}

    def compute(self, quick):
        engine, count = self.devices()["engine"], 31 if quick else 91
        lead, energy, hop = np.logspace(-2, 3, count), np.logspace(0, 4, count), np.logspace(-1, 4, count)
        column, text = (slice(None), None), "coherence energy after one stroke"

        def both(side, values):
            return {f"{side}_in": values, f"{side}_out": values}

        maps = {
            "left_U": (("U", "left"), {"U": energy[column], **both("left", lead)}),
            "left_right": (("right", "left"), {**both("right", lead[column]), **both("left", lead)}),
            "right_right": (("right_out", "right_in"), {"right_out": lead[column], "right_in": lead}),
            "gamma_U": (("gamma", "U"), {"gamma": hop[column], "U": energy}),
        }
        data = {name: coherence(dims, varied(stroke_energy, engine, **given), text) for name, (dims, given) in maps.items()}
        data["right_tail"] = coherence("tail", varied(stroke_energy, engine, **both("right", np.array(_TAIL))), text)
        data["left_tail"] = coherence("tail_left", varied(stroke_energy, engine, **both("left", np.array(_TAIL) * 10)), text)
        data["centre"] = coherence((), varied(stroke_energy, engine, U=[1000.0])[0], text)
        fine, few = np.logspace(-1, np.log10(4.5), 60), np.array(_FEW)
        ridge = [largest(fine, row) for row in varied(stroke_energy, engine, gamma=fine, U=few[column])]
        # A curve that only grows is largest at its end.
        where = [x if x < 4.4 else np.nan for x, _ in ridge]
        data["small_ridge"] = quantity("few_U", where, r"\gamma", "meV", "hopping below 4.5 at which the coherence energy is largest")
        data["small_ridge_height"] = coherence("few_U", [y for _, y in ridge], text)
        return xarray.Dataset(
            data,
            {
                "U": rate("U", energy, "U"),
                "gamma": rate("gamma", hop, r"\gamma"),
                "left": rate("left", lead, r"T_L"),
                "right": rate("right", lead, r"T_R"),
                "right_in": rate("right_in", lead, r"T_R^-"),
                "right_out": rate("right_out", lead, r"T_R^+"),
                "tail": rate("tail", _TAIL, r"T_R"),
                "tail_left": rate("tail_left", np.array(_TAIL) * 10, r"T_L"),
                "few_U": rate("few_U", _FEW, "U"),
            },
        )

    def paint(self, data):
        out, axes = panels(7.2, 5.6, 2, 2)
        shown = (
            ("left_U", "left", "U"),
            ("left_right", "left", "right"),
            ("right_right", "right_in", "right_out"),
            ("gamma_U", "U", "gamma"),
        )
        for k, (name, x, y) in enumerate(shown):
            draw_map(out, axes.flat[k], data, name, x, y, linear=1e-3, top=3e3)
            letter(axes.flat[k], "abcd"[k])
        return out

    def claims(self, data):
        low = data.left_U.sel(left=data.left < 1)
        best = float(data.U[int(np.argmax(low.max("left").values))])
        strong = data.gamma_U.sel(U=1e3, method="nearest")
        top = float(strong.gamma[int(np.argmax(strong.values))])
        tail, left = data.right_tail.values, data.left_tail.values
        chaos = bool((np.diff(tail) >= 0).any() or (tail <= 0).any())
        ridge, height = data.small_ridge.values, data.small_ridge_height.values
        first = np.isfinite(ridge)
        found = (
            f"at γ = {numbers(ridge[first], 2)} for U = {numbers(np.array(_FEW)[first])} only, at most {number(height[first].max(), 2)} meV"
        )
        reached = f"{number(data.centre)} meV at the centre, more for larger γ"
        return [
            true("the energy is largest for U of 1e3 to 1e4", 800 <= best <= 1.1e4, "within this decade, with ripples"),
            true("and falls where the left rate exceeds 1", left[1] < 0.5 * data.centre, f"{numbers(left, 2)} meV at 10, 100, 300"),
            true("energies of 10^3 meV are reached", data.gamma_U.max() > 800, reached),
            true("above a right rate of 10 a chaotic phase of either sign", chaos, f"smooth decay: {numbers(tail, 2)} meV at 1, 10, 30"),
            true(
                "a phase of negative energy where right rates in and out differ",
                (data.right_right < -1e-3).any(),
                "where spins down leave fast",
            ),
            true("a ridge at γ of about U", top > 300, "at U = 1000, with ripples, from γ = U/2 on"),
            true("a ridge at γ of about 1 that depends little on U", first.all(), found),
        ]
