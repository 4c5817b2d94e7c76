"""The Rashba chain: its bands (Fig. 4), and the current that dephasing one spin drives (Figs. 5 and 6)."""

from __future__ import annotations

import functools

import numpy as np
import xarray

from ..equations.channels import periodic_chain
from ..models.gge.device import Bands, RashbaRectifier
from ..studies.sweep import sweep
from .claims import number, numbers, true
from .gge_raman import PAPER, momenta, momentum_ticks
from .published import Published
from .style import BLACK, BLUE, GREY, RED, canvas, label, letter, panels
from .variables import crossings, declared, largest, quantity

# Its change of sign near drive = 1 needs this length.
_LENGTH = 8192
_MERITS = ("current", "current_up", "current_down")


class Spectrum(Published):
    name = "gge-4"
    source = f"{PAPER}, Fig. 4"
    title = "Bands of the chain with spin-orbit coupling"
    caption = (
        "Energies of the two bands without (left) and with (right) a magnetic field h = J, coloured by the share of spin up; dashed "
        "the Fermi energy of the half-filled chain. αy = 1.1 J, αz = 0.9 J. The published figure is a sketch; here the bands of the "
        "parameters of Fig. 5."
    )

    def devices(self):
        chain = RashbaRectifier(length=512)
        return {"no field": chain.replace(field=0.0), "field": chain}

    def compute(self, quick):
        chains = list(self.devices().values())
        bands = [Bands.at(chain, periodic_chain.momenta(chain.length)) for chain in chains]
        dims = ("field", "band", "momentum")
        return xarray.Dataset(
            {
                "band_energies": declared(dims, [b.energy for b in bands], chains[0], "band_energies"),
                "spin_up": quantity(dims, [b.up for b in bands], r"|u_\uparrow|^2", "1", "share of spin up in the mode"),
            },
            {
                "field": quantity("field", [0.0, 1.0], "h", "J", "Zeeman field"),
                "band": ["upper", "lower"],
                "momentum": momenta(chains[0].momenta()),
            },
        )

    def paint(self, data):
        out, axes = panels(7.2, 3.2, 1, 2, sharey=True)
        for k, panel in enumerate(axes):
            panel.axhline(0, color=GREY, lw=0.8, ls="--")
            for band in range(2):
                one = data.isel(field=k, band=band)
                dots = panel.scatter(data.momentum, one.band_energies, c=one.spin_up, s=5, cmap="coolwarm_r", vmin=0, vmax=1, zorder=3)
            momentum_ticks(panel)
            letter(panel, "ab"[k], ("$h$ = 0", "$h$ = $J$")[k])
        axes[0].set_ylabel(r"$\epsilon_{q\pm}$ [J]")
        bar = out.colorbar(dots, ax=list(axes), pad=0.02)
        bar.set_label(label(data.spin_up))
        return out

    def claims(self, data):
        energy = data.band_energies.values
        # The first momentum, -pi, has no mirror image.
        skew = np.abs(energy - np.roll(energy[..., ::-1], 1, axis=-1)).max(axis=(1, 2))
        return [
            true(
                "the field breaks the symmetry of the bands under k to -k",
                skew[1] > 0.1,
                f"energies differ by up to {number(skew[1], 2)} J",
            ),
            true("which they have without it", skew[0] < 1e-12, "exactly even"),
        ]


@functools.lru_cache
def _currents(quick: bool):
    """The three currents for spins up, both alike, and spins down dephased, against the share of the dephasing."""
    near_one = 1 - np.geomspace(0.1, 1e-7, 41 if quick else 161)
    drive = np.concatenate([np.linspace(0, 0.9, 19 if quick else 73)[:-1], near_one])
    chain = RashbaRectifier(length=_LENGTH)
    out = sweep(chain, _MERITS, dephasing_up=[0.0, 0.5, 1.0], drive=drive, progress=False).drop_vars("failure")
    out.drive.attrs["symbol"] = r"\gamma_\mathrm{neq}"
    for name in _MERITS:
        out[name].attrs["units"] = "J"
    return out


class _Dephasing(Published):
    """Currents against the share of the dephasing, and occupations at two of them."""

    up: float
    # The panels of currents after the first: close to a drive of 1, and dephasing of both spins.
    both: bool

    def devices(self):
        return {"dephased": RashbaRectifier(length=_LENGTH, dephasing_up=self.up)}

    def compute(self, quick):
        short = RashbaRectifier(dephasing_up=self.up)
        n = [short.replace(drive=share).occupations() for share in (0.0, 0.9)]
        bands = Bands.at(short, periodic_chain.momenta(short.length))
        dims = ("band", "momentum")
        return (
            _currents(quick)
            .assign(
                occupations=declared(("shown_drive", *dims), n, short, "occupations"),
                band_energies=declared(dims, bands.energy, short, "band_energies"),
                spin_up=quantity(dims, bands.up, r"|u_\uparrow|^2", "1", "share of spin up in the mode"),
            )
            .assign_coords(
                momentum=momenta(short.momenta()),
                band=["upper", "lower"],
                shown_drive=quantity("shown_drive", [0.0, 0.9], r"\gamma_\mathrm{neq}", "1", "share of the dephasing"),
            )
        )

    def paint(self, data):
        out = canvas(7.6, 5.4)
        grid = out.add_gridspec(2, 1)
        upper, lower = out.add_subfigure(grid[0]), out.add_subfigure(grid[1])
        one = data.sel(dephasing_up=self.up)
        left, middle, *right = upper.subplots(1, 3 if self.both else 2, sharey=True)
        _paint_currents(left, one)
        _paint_currents(middle, one, close=True)
        letter(left, "a", "spins up dephased" if self.up == 1 else "spins down dephased")
        letter(middle, "a'", "close to 1")
        for axes in right:
            _paint_currents(axes, data.sel(dephasing_up=0.5))
            letter(axes, "b", "both alike")
        left.set_ylabel("current [J]")
        left.legend(loc="upper left" if self.up == 1 else "lower left")
        for k, axes in enumerate(pair := lower.subplots(1, 2, sharey=True)):
            for band, color in ((0, BLUE), (1, RED)):
                axes.plot(data.momentum, data.occupations[k, band], color=color, label=f"{data.band.values[band]} band")
                if k:
                    axes.plot(data.momentum, data.occupations[0, band], color=color, lw=0.8, ls=":")
            momentum_ticks(axes)
            axes.set(ylim=(0, 1.02))
            letter(axes, ("c" if self.both else "b") + "'" * k, ("Gibbs state", r"$\gamma_\mathrm{neq}$ = 0.9")[k])
        pair[0].set_ylabel(r"$n_{q\nu}$")
        pair[0].legend(loc="center right")
        return out

    @staticmethod
    def _change(data, sign: int):
        """Where each band gains (sign 1) or loses (sign -1) most: energies, shares of spin up, and how much."""
        change = sign * (data.occupations[1] - data.occupations[0]).values
        at, rows = change.argmax(axis=1), np.arange(2)
        return data.band_energies.values[rows, at], data.spin_up.values[rows, at], change[rows, at]


def _paint_currents(axes, one, close: bool = False):
    axes.axhline(0, color=GREY, lw=0.7)
    if close:
        one = one.sel(drive=one.drive > 0.8999)
    for name, color in zip(_MERITS, (BLACK, BLUE, RED), strict=True):
        axes.plot(1 - one.drive if close else one.drive, one[name], color=color, label=f"${one[name].symbol}$")
    axes.set(xlabel="1 - " * close + label(one.drive), xlim=(0.1, 1e-7) if close else (0, 1))
    if close:
        axes.set_xscale("log")
        axes.set_xticks([1e-1, 1e-3, 1e-5, 1e-7])


class DephasingUp(_Dephasing):
    name = "gge-5"
    source = f"{PAPER}, Fig. 5"
    title = "Rectification by dephasing spins up"
    up, both = 1.0, True
    caption = (
        "Total current and its parts that arrive as spins up and down against the share γ of the dephasing, for (a) spins up, (a') "
        "close to γ = 1, and (b) both spins alike; occupations (c) of the Gibbs state and (c') at γ = 0.9 (chosen, the text gives "
        "none; dotted the Gibbs state). β = 2/J, αy = 1.1 J, αz = 0.9 J, h = J, half filling, 8192 sites (the paper does not say how "
        "many; the change of sign next to γ = 1, which it does not mention, needs so many)."
    )

    def claims(self, data):
        one, both = data.sel(dephasing_up=1.0), data.sel(dephasing_up=0.5)
        drive, current = one.drive.values, one.current.values
        # Even in the logarithm of the distance from 1 the curves are smooth.
        x = -np.log(1 - drive)
        at, top = largest(x, current)
        before = drive < 0.99
        sign = crossings(x, current)
        zero = sign[np.exp(-sign) < 1e-2]
        lost = np.abs(both.current.values).max()
        energy, up, loss = self._change(data, -1)
        half = drive[before] > 0.3
        down = (np.abs(one.current_down.values) > np.abs(one.current_up.values))[before][half].all()
        found = f"largest, {number(top)} J, at γ = {1 - np.exp(-at):.4f}"
        more = f"{numbers(loss, 2)}, both at ε = {number(energy[0], 2)} J, share of spin up {numbers(up, 2)}"
        change = f"negative from γ = {1 - np.exp(-zero[0]):.6f} to 1" if zero.size else "none"
        return [
            true(
                "dephasing spins up drives a large positive current",
                top > 0.1 and (current[before][1:] > 0).all(),
                f"up to {number(top)} J",
            ),
            true("which has a sharp peak close to γ = 1", 0.9 < 1 - np.exp(-at) < 1, found),
            true("it vanishes at γ = 0 and, smoothly heated up, at γ = 1", abs(current[0]) < 1e-12 and not zero.size, change),
            true("its main part is carried by spins down", down, "for all γ from 0.3 to 0.99"),
            true("for equal dephasing the spins' currents cancel", lost < 1e-12, "exactly, at half filling"),
            true("occupations fall most near the Fermi surface, where spins are up", up.min() > 0.5, f"by {more}"),
        ]


class DephasingDown(_Dephasing):
    name = "gge-6"
    source = f"{PAPER}, Fig. 6"
    title = "Rectification by dephasing spins down"
    up, both = 0.0, False
    caption = (
        "As Fig. 5, for dephasing of spins down: (a) currents, (a') close to γ = 1; occupations (b) of the Gibbs state and (b') at γ "
        "= 0.9 (chosen). At half filling the current is exactly minus that of Fig. 5(a)."
    )

    def claims(self, data):
        one, other = (data.sel(dephasing_up=x) for x in (0.0, 1.0))
        current = one.current.values[one.drive.values < 0.99]
        total = float(one.current.sel(drive=0.9, method="nearest"))
        pairs = (("current", "current"), ("current_up", "current_down"), ("current_down", "current_up"))
        off = max(float(np.abs(one[a].values + other[b].values).max()) for a, b in pairs)
        _, share, gain = self._change(data, 1)
        return [
            true("dephasing spins down drives the current backwards", (current[1:] < 0).all(), f"{number(total)} J at γ = 0.9"),
            true("with exactly the reversed value", off < 1e-10, "also of the spins' parts, exchanged"),
            true(
                "occupations change most where spins are down",
                share.max() < 0.5,
                f"by {numbers(gain, 2)}, share of spin up {numbers(share, 2)}",
            ),
        ]
