"""Where the lattice's particle is found, for small and large hopping and several temperatures (Figs. 2(b) to 2(e))."""

from __future__ import annotations

import numpy as np
import xarray

from ..models.thermophoresis.lattice import ThermophoreticLattice
from .claims import numbers, true
from .mapped import mapped
from .published import Published
from .style import BLACK, BLUE, GREEN, ORANGE, PINK, RED, SKY, label, panels
from .variables import declared, quantity

PAPER = "Matos, Werlang, Valente, arXiv:2404.12346"
_COLORS = (BLUE, SKY, GREEN, ORANGE, RED, PINK, BLACK)
_HOPPING = (0.1, 0.3, 0.5, 0.7, 0.9, 1.1, 1.3)
_SITES = np.arange(1, 11)
_MIDDLE = 5.5


def populations(lattice):
    """The populations of the sites."""
    return lattice.site_populations()


class _Sites(Published):
    """Populations of the ten sites, one curve for each value of what varies."""

    # The coordinate that tells the curves apart, and the parameters of each curve.
    axis: str
    symbol: str
    values: tuple[float, ...]

    def parameters(self) -> dict[str, np.ndarray]:
        raise NotImplementedError

    def devices(self):
        return {"lattice": ThermophoreticLattice(g=0.1)}

    def compute(self, quick):
        device = self.devices()["lattice"]
        given = {"g": np.full(len(self.values), 0.1), **self.parameters()}
        P = mapped(populations, device, **given)
        S = P @ (_MIDDLE - _SITES)
        text = {"mean": "mean temperature", "difference": "temperature difference", "g": "hopping"}[self.axis]
        return xarray.Dataset(
            {
                "site_populations": declared((self.axis, "site"), P, device, "site_populations"),
                "thermophoresis": declared(self.axis, S, device, "thermophoresis"),
                "T_left": quantity(self.axis, given["T_left"], "T_L", "h", "temperature at site 1"),
                "T_right": quantity(self.axis, given["T_right"], "T_R", "h", "temperature at site 10"),
            },
            {
                "site": quantity("site", _SITES, "k", "1", "site, from the hot end"),
                self.axis: quantity(self.axis, self.values, self.symbol, "h", text),
            },
        )

    def paint(self, data):
        out, axes = panels(5.2, 3.4)
        for k, value in enumerate(self.values):
            marker = "osD^vP*"[k]
            text = f"${self.symbol}$ = {value:g}$\\,h$"
            axes.plot(data.site, data.site_populations[k], f"{marker}-", color=_COLORS[k], label=text, clip_on=False)
        axes.set(xlabel="site " + label(data.site), ylabel=label(data.site_populations), xlim=(1, 10), ylim=(0, None))
        axes.set_xticks(_SITES)
        axes.legend(loc="upper left", ncols=2 if len(self.values) > 4 else 1)
        axes.text(0.0, -0.17, "hot", color=RED, transform=axes.transAxes, ha="center")
        axes.text(1.0, -0.17, "cold", color=BLUE, transform=axes.transAxes, ha="center")
        return out


class _SmallHopping(_Sites):
    # Whether a higher value makes the effect weaker.
    weaker: bool
    trend: str

    def claims(self, data):
        P, S = data.site_populations.values, data.thermophoresis.values
        rising = bool((np.diff(P, axis=1) > 0).all())
        stronger = np.diff(np.abs(S))
        return [
            true("the closer to the cold bath, the more populated a site", rising, "on all curves"),
            true(self.trend, ((stronger < 0) if self.weaker else (stronger > 0)).all(), f"(N+1)/2 - <k> = {numbers(S)}"),
        ]


class MeanTemperature(_SmallHopping):
    name = "thermophoresis-2b"
    source = f"{PAPER}, Fig. 2(b)"
    title = "Thermophoresis at a fixed temperature difference"
    axis, symbol, values, weaker = "mean", r"\bar T", (0.2, 0.4, 0.6, 0.8), True
    trend = "the effect is stronger for lower mean temperature"
    caption = (
        "Populations of the ten sites, ground and excited states together, for hopping g = 0.1 h, flat spectral density, and "
        "temperatures that fall linearly from site 1 to site 10. The text does not give the temperatures; here T_L - T_R = 0.2 h with "
        "four means."
    )

    def parameters(self):
        mean = np.array(self.values)
        return {"T_left": mean + 0.1, "T_right": mean - 0.1}


class TemperatureDifference(_SmallHopping):
    name = "thermophoresis-2c"
    source = f"{PAPER}, Fig. 2(c)"
    title = "Thermophoresis at a fixed mean temperature"
    axis, symbol, values, weaker = "difference", r"T_L - T_R", (0.1, 0.2, 0.4, 0.6), False
    trend = "the effect is stronger for a larger gradient"
    caption = "As Fig. 2(b), for a mean temperature of 0.4 h and four temperature differences; the text gives neither."

    def parameters(self):
        half = np.array(self.values) / 2
        return {"T_left": 0.4 + half, "T_right": 0.4 - half}


class _Hopping(_Sites):
    axis, symbol, values = "g", "g", _HOPPING
    hot: float
    cold: float

    def parameters(self):
        g = np.array(self.values)
        return {"g": g, "T_left": np.full(g.shape, self.hot), "T_right": np.full(g.shape, self.cold)}


class Warm(_Hopping):
    name = "thermophoresis-2d"
    source = f"{PAPER}, Fig. 2(d)"
    title = "Negative thermophoresis of a delocalised particle"
    hot, cold = 0.8, 0.4
    caption = (
        "Populations of the sites for increasing hopping, T_L = 0.8 h, T_R = 0.4 h. The values of g below 1.3 h are chosen. With a "
        "flat spectral density the rate at zero frequency diverges where an excited level crosses the ground states (g = 0.521, "
        "0.594, 0.764, 1.204 h, ...): there the populations are exactly symmetric, with a kink in g, which this list of g does not "
        "show."
    )

    def claims(self, data):
        P, S = data.site_populations.values, data.thermophoresis.values
        last = P[-1]
        falling = bool((np.diff(last[3:]) < 0).all())
        device = self.devices()["lattice"]
        first = float(device.crossings()[0])
        return [
            true(
                "at g = 1.3 h site 3 has the highest population",
                int(np.argmax(last)) == 2,
                f"site {int(np.argmax(last)) + 1}, {last.max():.4f}",
                "3",
            ),
            true("which decreases from site 4 to site 10", falling, "strictly"),
            true(
                "at small g the particle goes to the cold end, at large g to the hot one",
                S[0] < 0 < S[-1],
                f"(N+1)/2 - <k> = {numbers(S[[0, -1]])}",
            ),
            true(
                "the ground state becomes delocalised for g of about h", first > 0.9, f"the first level crosses at g = {first:.3f} h", "1"
            ),
        ]


class Cold(_Hopping):
    name = "thermophoresis-2e"
    source = f"{PAPER}, Fig. 2(e)"
    title = "A delocalised particle between cold baths"
    hot, cold = 0.3, 0.1
    caption = (
        "As Fig. 2(d), for T_L = 0.3 h, T_R = 0.1 h. Negative thermophoresis at g = 0.7 and 0.9 h is not small: in the mean site it "
        "is as large as, or twice, that of Fig. 2(d) at 1.3 h."
    )

    def compute(self, quick):
        out = super().compute(quick)
        warm = mapped(populations, self.devices()["lattice"], g=np.array([1.3]), T_left=np.array([0.8]), T_right=np.array([0.4]))
        return out.assign(warm=declared((), warm[0] @ (_MIDDLE - _SITES), ThermophoreticLattice, "thermophoresis"))

    def claims(self, data):
        P, S = data.site_populations.values, data.thermophoresis.values
        last, warm = P[-1], float(data.warm)
        skew = float(np.abs(last - last[::-1]).max())
        top = np.argsort(last)[-2:] + 1
        small = S[[3, 4]]
        found = f"{numbers(small)} beside {warm:.3g}"
        return [
            true("at g = 1.3 h the peak is at sites 5 and 6", sorted(top.tolist()) == [5, 6], "populations 0.148 both"),
            true("and the particle is spread symmetrically", skew < 0.005, f"mirror images differ by {skew:.1e} at most"),
            true("negative thermophoresis at g = 0.7 and 0.9 h", (small > 0).all(), f"(N+1)/2 - <k> = {numbers(small)}"),
            true("which is far less pronounced than in Fig. 2(d) at 1.3 h", small.max() < 0.5 * warm, found),
        ]
