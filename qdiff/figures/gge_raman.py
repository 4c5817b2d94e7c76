"""The Raman-driven chain: relaxation to the Gibbs state (Fig. 2), and the driven steady state (Fig. 3)."""

from __future__ import annotations

import numpy as np
import xarray

from ..models.gge.device import RamanRectifier
from ..studies.sweep import sweep
from .claims import near, number, true
from .published import Published
from .style import BLUE, GREY, RED, label, letter, panels, shades
from .variables import declared, quantity

PAPER = "Yamamoto, Ashida, Kawakami (2020)"

_SHOWN = (0.0, 0.25, 0.5, 0.75, 1.0)


def momenta(values):
    return quantity("momentum", values, "q", "1", "momentum, lattice constant 1")


def momentum_ticks(axes):
    """Ticks at multiples of pi/2."""
    axes.set(xlim=(-np.pi, np.pi), xlabel="$q$")
    axes.set_xticks(np.pi * np.arange(-2, 3) / 2, [r"$-\pi$", r"$-\pi/2$", "0", r"$\pi/2$", r"$\pi$"])


class Relaxation(Published):
    name = "gge-2"
    source = f"{PAPER}, Fig. 2"
    title = "Relaxation to the Gibbs state without a drive"
    caption = (
        "Lagrange parameters of eight momenta, those of ±q being the same, from infinite temperature on, with the equilibrium bath "
        "alone (β = 2/J, ε = 0.05, half filling, 64 sites; the paper does not say how many); dashed βε_q. The Gibbs state is reached "
        "irrespective of the initial state only as far as the particle number is the same: away from half filling a chemical "
        "potential appears."
    )

    def devices(self):
        chain = RamanRectifier(drive=0.0, length=64)
        return {"half filling": chain, "filling 0.3": chain.replace(filling=0.3)}

    def compute(self, quick):
        chain, fewer = self.devices().values()
        times = np.linspace(0, 300, 61 if quick else 151)
        run = chain.relaxation(times)
        k = np.asarray(chain.momenta())
        return xarray.Dataset(
            {
                "lagrange_parameters": declared(("time", "momentum"), run.lagrange_parameters, chain, "lagrange_parameters"),
                "gibbs": quantity("momentum", -2 * float(chain.beta) * np.cos(k), r"\beta \epsilon_q", "1", "of the Gibbs state"),
                "fewer_particles": declared("momentum", fewer.lagrange_parameters(), chain, "lagrange_parameters"),
            },
            {"time": quantity("time", times, "t", "1/J", "time"), "momentum": momenta(k)},
        )

    def paint(self, data):
        out, axes = panels(6.0, 3.7)
        positive = data.sel(momentum=data.momentum >= 0).isel(momentum=slice(0, None, 4))
        for k, color in enumerate(shades("cividis", 0, 0.95, positive.sizes["momentum"])):
            one = positive.isel(momentum=k)
            axes.axhline(float(one.gibbs), color=GREY, lw=0.7, ls="--")
            axes.plot(data.time, one.lagrange_parameters, color=color, label=f"{float(one.momentum) / np.pi:.3g}")
        axes.set(xlabel=label(data.time), ylabel=r"$\lambda_q$", xlim=(0, 200))
        out.legend(loc="outside right center", title=r"$q/\pi$", reverse=True)
        return out

    def claims(self, data):
        times, off = data.time.values, data.lagrange_parameters.values - data.gibbs.values
        distance = np.abs(off).max(axis=1)
        late = (distance < 1e-2) & (distance > 1e-5)
        slowest = -1 / float(np.polyfit(times[late], np.log(distance[late]), 1)[0])
        shift = data.fewer_particles.values - data.gibbs.values
        constant = float(shift.std()) < 1e-9
        found = f"at filling 0.3 all λ are {number(shift.mean())} above βε" if constant else "no common shift"
        return [
            true(
                "without a drive the chain goes to the Gibbs state", distance[-1] < 1e-4, f"λ off by {number(distance[-1], 1)} at t = 300/J"
            ),
            near("in a time of order 1/ε = 20/J", slowest, 20, 30, text=f"{number(slowest, 2)}/J for the slowest part"),
            true("irrespective of the initial state", np.abs(shift).max() < 1e-6, found),
        ]


class Driven(Published):
    name = "gge-3"
    source = f"{PAPER}, Fig. 3"
    title = "The chain driven by a nonreciprocal bath"
    caption = (
        "(a) Lagrange parameters in the steady state for several shares γ of the driving bath (chosen; the text does not give them), "
        "dashed the Gibbs state; (b) the current. β = 2/J, δ = 1 + i, δ' = 1 + 0.5i, half filling, 256 sites (the paper does not say "
        "how many; 64 suffice). The steady state does not depend on ε. Condition (14) for a current is necessary, not sufficient: δ = "
        "δ' = 1 + i satisfies it and carries none (dotted)."
    )

    def devices(self):
        chain = RamanRectifier()
        return {"driven": chain, "δ = δ'": chain.replace(delta_prime_im=1.0)}

    def compute(self, quick):
        drive = np.linspace(0, 1, 21 if quick else 81)
        merits = ["current", "lagrange_parameters"]
        out = sweep(self.devices()["driven"], merits, drive=drive, delta_prime_im=[0.5, 1.0], progress=False).drop_vars("failure")
        out = out.rename(lagrange_parameters_0="momentum").assign_coords(momentum=momenta(self.devices()["driven"].momenta()))
        out.drive.attrs["symbol"] = r"\gamma_\mathrm{neq}"
        out.current.attrs["units"] = "J"
        return out

    def paint(self, data):
        out, (left, right) = panels(7.2, 3.2, 1, 2)
        one = data.sel(delta_prime_im=0.5)
        colors = shades("cividis", 0.05, 0.9, len(_SHOWN))
        for share, color in zip(_SHOWN[1:], colors[1:], strict=True):
            lam = one.lagrange_parameters.sel(drive=share, method="nearest")
            left.plot(data.momentum, lam, color=color, label=rf"$\gamma$ = {share:g}")
        left.plot(data.momentum, one.lagrange_parameters.sel(drive=0), "--", color=GREY, label="Gibbs")
        momentum_ticks(left)
        left.set_ylabel(r"$\lambda_q$")
        left.legend(loc="upper center")
        right.plot(data.drive, one.current, color=BLUE, label=r"$\delta'$ = 1 + 0.5i")
        right.plot(data.drive, data.current.sel(delta_prime_im=1.0), ":", color=RED, label=r"$\delta'$ = 1 + i = $\delta$")
        right.set(xlabel=label(data.drive), ylabel=label(data.current), xlim=(0, 1))
        right.legend(loc="upper left")
        letter(left, "a")
        letter(right, "b")
        return out

    def claims(self, data):
        one, none = (data.sel(delta_prime_im=x) for x in (0.5, 1.0))
        current, lam = one.current.values, one.lagrange_parameters.values
        k = data.momentum.values
        inner = np.abs(k) < np.pi - 1e-9
        odd = np.abs(lam[:, inner][-1] - lam[:, inner][-1][::-1])[1:-1].max()
        zero = abs(current[0])
        least = np.abs(none.current.values).max()
        return [
            true(
                "the Lagrange parameters depart from the Gibbs state and are not even in q",
                odd > 0.1,
                f"λ(q) - λ(-q) up to {number(odd, 2)} at γ = 1",
            ),
            true("the current vanishes without a drive", zero < 1e-14, "exactly"),
            true("and grows with the drive to a large value", (np.diff(current) > 0).all(), f"{number(current[-1])} J at γ = 1"),
            true("any imaginary part of δ or δ' makes a current", least > 1e-6, "none for δ = δ' = 1 + i at half filling"),
        ]
