"""The active particle: its velocity before momenta relax (Fig. 2), in time (Fig. 3), and velocity correlations (Fig. 4)."""

from __future__ import annotations

import numpy as np
import xarray

from ..models.active.device import ActiveParticle, optimal_temperature_limit
from .claims import near, number, numbers, true
from .mapped import mapped
from .published import Published
from .style import BLACK, BLUE, GREEN, GREY, ORANGE, RED, letter, panels
from .variables import declared, largest, quantity

PAPER = "Penner, Viotti, Fazio, Arrachea, von Oppen (2025)"


def velocity(particle):
    """The mean velocity before the momentum relaxes."""
    return particle.velocity()


def _velocities(dims, values, name: str = "velocity"):
    dims, values, about = declared(dims, values, ActiveParticle, name)
    return dims, values, about | {"units": "v_o"}


class Bias(Published):
    name = "active-2"
    source = f"{PAPER}, Fig. 2"
    title = "Velocity before the momentum relaxes"
    caption = (
        "Mean velocity in units of v_o = εa against temperature and relative bias; dashed the temperature of the largest speed at "
        "each bias. θ = 3π/4 - 0.01, hopping 2ε, spin-orbit coupling 0.6ε along x + z, damping 0.2ε. The velocity is negative: Eq. "
        "(4) lacks a sign, which the Fourier transform of Eq. (1) shows. The range of temperatures is chosen."
    )

    def devices(self):
        particle = ActiveParticle(T=1.0, bias_ratio=0.01, points=256)
        # The field of Fig. 2 is nearly perpendicular to the spin-orbit coupling, for which the limit of wide bands is another one.
        wide = ActiveParticle(hopping=1000.0, theta=0.3, d_x=0.1, d_z=0.02, points=4096)
        return {"particle": particle, "wide band": wide}

    def compute(self, quick):
        particle, wide = self.devices().values()
        T = np.linspace(0.05, 6, 60 if quick else 239)
        ratio = np.linspace(0, 1.9, 39 if quick else 153)
        few = np.array([0.01, 0.5, 1.0, 1.9])
        far, cold = np.array([40.0, 80.0]), np.array([0.09, 0.1])
        one, ratios = np.array([0.01]), np.concatenate([ratio, few])
        rows = mapped(velocity, particle, chunk=2048, T=T, bias_ratio=ratios[:, None])
        best = np.array([largest(T, np.abs(row))[0] for row in rows])
        slow = np.linspace(0.5, 1.3, 33)
        speeds = np.abs(mapped(velocity, wide, chunk=33, T=slow, dT=one))
        return xarray.Dataset(
            {
                "velocity": _velocities(("bias_ratio", "T"), rows[: len(ratio)]),
                "best_temperature": declared("bias_ratio", best[: len(ratio)], particle, "optimal_temperature"),
                "optimal_temperature": declared("few", best[len(ratio) :], particle, "optimal_temperature"),
                "hot": _velocities("far", mapped(velocity, particle, chunk=2048, T=far, bias_ratio=one)),
                "cold": _velocities("near", mapped(velocity, particle, chunk=2048, T=cold, bias_ratio=one)),
                "exact": _velocities((), mapped(velocity, particle, chunk=2048, T=np.ones(1), bias_ratio=one)[0]),
                # The sign that Eq. (4) has in print.
                "printed": _velocities((), -particle.velocity_linear_response(), "velocity_linear_response"),
                "wide_band_optimum": declared((), largest(slow, speeds)[0], wide, "optimal_temperature"),
            },
            {
                "T": quantity("T", T, "T", r"\varepsilon", "mean temperature"),
                "bias_ratio": quantity("bias_ratio", ratio, r"\Delta T/T", "1", "relative bias"),
                "few": quantity("few", few, r"\Delta T/T", "1", "relative bias"),
                "far": quantity("far", far, "T", r"\varepsilon", "high temperatures"),
                "near": quantity("near", cold, "T", r"\varepsilon", "low temperatures"),
            },
        )

    def paint(self, data):
        out, axes = panels(6.0, 3.9)
        mesh = axes.pcolormesh(data.T, data.bias_ratio, data.velocity, cmap="cividis_r", shading="nearest", rasterized=True)
        lines = axes.contour(data.T, data.bias_ratio, data.velocity, levels=[-0.08, -0.06, -0.04, -0.02, -0.01], colors="k", linewidths=0.6)
        axes.clabel(lines, fontsize=7)
        axes.plot(data.best_temperature[1:], data.bias_ratio[1:], "--", color="w", lw=1.2)
        axes.set(xlabel=r"$T$ [$\varepsilon$]", ylabel=r"$\Delta T/T$")
        axes.grid(False)
        out.colorbar(mesh, ax=axes, pad=0.02).set_label(rf"${data.velocity.symbol}$ [$v_o$]")
        return out

    def claims(self, data):
        values, T = data.velocity.values, data.T.values
        inner = [0 < int(np.abs(row).argmax()) < len(T) - 1 for row in values[1:]]
        hot, cold = data.hot.values, data.cold.values
        power = float(np.log(abs(hot[0] / data.far.values[0] / (hot[1] / data.far.values[1]))) / np.log(2))
        t = data.near.values
        gap = float(np.log(cold[1] * t[1] / (cold[0] * t[0])) / (1 / t[0] - 1 / t[1]))
        best = data.optimal_temperature.values
        printed, exact = float(data.printed), float(data.exact)
        wide, drawn = float(data.wide_band_optimum), float(optimal_temperature_limit(1.0, fixed_ratio=True))
        return [
            true("without a bias the particle stands still", np.abs(values[0]).max() < 1e-15, "exactly"),
            near("at low temperature its speed falls as exp(-2ε/T)", gap, 2, 0.15, text=f"exponent {number(gap, 2)} ε at T = 0.1 ε"),
            near("at high temperature as 1/T³, at fixed bias", power, 3, 0.05, text=f"as 1/T^{number(power)} from T = 40 to 80 ε"),
            true(
                "in between it has a maximum, also beyond linear response",
                all(inner),
                f"at T = {numbers(best)} ε for ΔT/T = 0.01, 0.5, 1, 1.9",
            ),
            near(
                "for wide bands this is at T = 0.83 ε",
                wide,
                0.83,
                0.01,
                text=f"{number(wide)} ε at fixed ΔT; {number(drawn)} ε at fixed ΔT/T, as drawn",
            ),
            true("Eq. (4) gives the velocity at small bias", printed * exact > 0, f"its opposite: {number(exact)} at T = ε, ΔT = 0.01 ε"),
        ]


class Relaxation(Published):
    name = "active-3"
    source = f"{PAPER}, Fig. 3"
    title = "Phonons change the velocity, and can reverse it"
    caption = (
        "Mean velocity in time from thermal equilibrium, with phonon baths of densities of states |ω|^p; dashed the stationary "
        "velocity without phonons. T = ε, ΔT/T = 0.01, q0 = 0.02, other parameters of Fig. 2. The paper gives λ0/N = 0.002 ε without "
        "N; here λ0 = 2, on which the time axis depends as 1/λ0 and the final values by less than 2 %. For p = 1 the rates diverge "
        "for elastic scattering, and the curve depends on a cutoff, here 0.01 ε. The drift "
        "and diffusion of Eqs. (S18) and (S19) are too large by 2; here is the scattering itself."
    )

    def devices(self):
        return {f"p = {p}": ActiveParticle(T=1.0, dT=0.01, phonon_exponent=p, points=512) for p in (1, 2, 3, 4)}

    def compute(self, quick):
        devices = self.devices()
        if quick:
            # For p = 1 the rates vary over as little as the cutoff.
            devices = {key: particle if key == "p = 1" else particle.replace(points=256) for key, particle in devices.items()}
        times = np.geomspace(1e-1, 1e9, 51 if quick else 151)
        first = devices["p = 3"]
        late = np.array([8e4, 1.2e5])
        found = np.array([particle.velocity_trace(np.concatenate([times, late]), "scattering") for particle in devices.values()])
        traces = found[:, : len(times)]
        return xarray.Dataset(
            {
                "trace": _velocities(("p", "time"), traces),
                "late": quantity(
                    "late_time", found[0, len(times) :] - traces[0, -1], r"\langle v \rangle", "v_o", "what is left to relax, p = 1"
                ),
                "spin_relaxation_time": declared((), first.spin_relaxation_time(), first, "spin_relaxation_time"),
                "without": _velocities((), first.velocity()),
            },
            {
                "p": quantity("p", [1, 2, 3, 4], "p", "1", "exponent of the phonons' density of states"),
                "time": quantity("time", times, "t", r"1/\varepsilon", "time"),
                "late_time": quantity("late_time", late, "t", r"1/\varepsilon", "time"),
            },
        )

    def paint(self, data):
        out, axes = panels(6.4, 3.8)
        axes.axhline(0, color=GREY, lw=0.7)
        for k, color in enumerate((ORANGE, GREEN, RED, BLUE)):
            axes.plot(data.time, 1e3 * data.trace[k], color=color, label=f"$p$ = {k + 1}")
        axes.axhline(1e3 * float(data.without), color=BLACK, ls="--", lw=1, label="no phonons")
        axes.set(xscale="log", xlim=(0.1, 1e9), xlabel=r"$t$ [$1/\varepsilon$]", ylabel=rf"${data.trace.symbol}$ [$10^{{-3}}\, v_o$]")
        axes.set_yscale("symlog", linthresh=1, linscale=1.4)
        axes.set_yticks([-1, -0.5, 0, 0.5, 1, 2, 5], ["-1", "-0.5", "0", "0.5", "1", "2", "5"])
        axes.legend(loc="upper left")
        return out

    def claims(self, data):
        final, before = data.trace.values[:, -1], float(data.without)
        spin = float(data.spin_relaxation_time)
        # So late the slowest part of the relaxation is all that is left of it.
        slow = float(np.diff(data.late_time.values)[0] / np.log(data.late.values[0] / data.late.values[1]))
        times, trace = data.time.values, data.trace.values
        plateau = trace[1:, np.argmin(np.abs(np.log(times / 100)))]
        off = float(np.abs(plateau / before - 1).max())
        scaled = numbers(1e3 * final)
        return [
            true(
                "before momenta relax the velocity does not depend on the phonons",
                off < 0.05,
                f"within {100 * off:.1g} % at t = 100 for p = 2, 3, 4",
            ),
            true(
                "spin relaxes far sooner than momentum",
                spin < 1e-2 * slow,
                f"{number(spin)}/ε, and {number(slow, 2)}/ε for p = 1, the soonest",
            ),
            true(
                "relaxation can reverse the velocity",
                final[2] * before < 0,
                f"p = 3: {number(1e3 * final[2])} after {number(1e3 * before)} (10^-3 v_o)",
            ),
            true("and increase its magnitude", np.abs(final[2]) > abs(before), f"final {scaled} for p = 1 to 4"),
            true("the final velocity depends sensitively on the density of states", np.ptp(final) > abs(before), "for p = 2 next to none"),
            true("spin flips (p = 4) change nothing qualitatively", final[3] * final[2] > 0, "larger and slower than p = 3"),
        ]


class Correlations(Published):
    name = "active-4"
    source = f"{PAPER}, Fig. 4"
    title = "Velocity correlations of the relaxed particle"
    caption = (
        "Symmetrised velocity correlations long after the momenta have relaxed (p = 3, parameters of Fig. 3): (a) until momenta "
        "forget, (b) short times, for three temperatures with ΔT = 0.01 T. The printed Eqs. (10) and (S32) lack a factor 4 and the "
        "square of one Γ. The time axis of (a) depends on λ0, which is chosen."
    )

    def devices(self):
        return {f"T = {T:g}": ActiveParticle(T=T, dT=0.01 * T, points=512) for T in (0.02, 0.2, 1.0)}

    def compute(self, quick):
        devices = self.devices()
        if quick:
            devices = {key: particle.replace(points=256) for key, particle in devices.items()}
        short = np.linspace(0, 40, 401)
        long = np.geomspace(50, 1e9, 51 if quick else 151)
        # One program for all of them, of one shape.
        found = [np.real(p.velocity_correlation(np.concatenate([short, long]), "relaxed")) for p in devices.values()]
        hot = devices["T = 1"]
        symbol = r"\mathrm{Re}\,\langle v(\bar t) v(0) \rangle - \langle v \rangle^2"
        text = "symmetrised velocity correlation"
        return xarray.Dataset(
            {
                "correlation": quantity(("T", "short"), [c[: len(short)] for c in found], symbol, "v_o^2", text),
                "late": quantity(("T", "long"), [c[len(short) :] for c in found], symbol, "v_o^2", text),
                "spin_relaxation_time": declared("T", [p.spin_relaxation_time() for p in devices.values()], hot, "spin_relaxation_time"),
                "velocity": _velocities((), hot.velocity()),
            },
            {
                "T": quantity("T", [0.02, 0.2, 1.0], "T", r"\varepsilon", "mean temperature"),
                "short": quantity("short", short, r"\bar t", r"1/\varepsilon", "relative time"),
                "long": quantity("long", long, r"\bar t", r"1/\varepsilon", "relative time"),
            },
        )

    def paint(self, data):
        out, (left, right) = panels(7.2, 3.3, 1, 2)
        hot = data.sel(T=1.0)
        left.plot(data.short[1:], hot.correlation[1:], color=RED, lw=1)
        left.plot(data.long, hot.late, color=RED)
        left.axvspan(0.1, 40, color="0.92", lw=0, zorder=0)
        left.set(xscale="log", xlim=(0.1, 1e9), ylabel="correlation [$v_o^2$]", xlabel=r"$\bar t$ [$1/\varepsilon$]")
        for k, color in enumerate((GREEN, ORANGE, RED)):
            right.plot(data.short, data.correlation[k], color=color, label=rf"$T$ = {float(data['T'][k]):g}$\,\varepsilon$")
        right.set(xlim=(0, 40), xlabel=r"$\bar t$ [$1/\varepsilon$]")
        right.legend(loc="upper right")
        letter(left, "a", r"$T$ = $\varepsilon$")
        letter(right, "b", r"$\bar t \ll t_m$")
        return out

    def claims(self, data):
        times = data.short.values
        out = []
        curve = data.correlation.sel(T=0.02).values
        peaks = times[1:-1][(curve[1:-1] > curve[2:]) & (curve[1:-1] > curve[:-2])]
        period = float(np.diff(peaks).mean())
        decay = 2 * data.spin_relaxation_time.values
        first = data.correlation.values[:, 0]
        last = data.late.values[2]
        out.append(near("the correlations oscillate with the period π/ε", period, 3.14, 0.4, text=f"{number(period)}/ε at T = 0.02 ε"))
        out.append(true("and decay with the spin", 4 < decay[2] < 12, f"within 2/Γ = {numbers(decay, 2)} 1/ε at T = 0.02, 0.2, 1 ε"))
        swing = np.ptp(data.correlation.values[:, times < 10], axis=1)
        out.append(
            true("oscillations remain at higher temperatures", (swing > 0.2 * first).all(), f"first swings {numbers(swing, 2)} v_o²")
        )
        out.append(
            true("for times far above t_m the correlations vanish", abs(last[-1]) < 1e-3 * first[2], "below 1e-3 of their start at 1e9/ε")
        )
        ratio = float(np.sqrt(first[2]) / abs(data.velocity))
        out.append(true("fluctuations far exceed the mean velocity", ratio > 10, f"{number(ratio, 2)} times at T = ε"))
        return out
