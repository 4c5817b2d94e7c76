"""Commands within this process and in one of their own, and a model as a user would write it."""

import os
import subprocess
import sys
from textwrap import dedent

import pytest
from typer.testing import CliRunner

from qdiff.cli.app import app

SOURCE = dedent(
    '''
    import jax.numpy as jnp
    import qdiff as qd

    print("the file was run")


    class Damped(qd.Model):
        """A damped qubit."""

        gap: float = qd.parameter(1.0, unit="energy", text="splitting", low=0, open=True)
        beta: float = qd.parameter(2.0, unit="1/energy", low=0, open=True)
        rate: float = qd.parameter(0.1, low=0)
        form: str = qd.setting("half", choices=("half", "full"))
        copies: int = qd.setting(2, low=1)

        @qd.structured
        def generator(self):
            qubit = qd.Space(qubit=qd.Spin()).qubit
            bath = qd.BosonicBath(self.beta, self.rate)
            return qd.Lindblad(self.gap / 2 * qubit.z, {"bath": qd.thermal_jumps(qubit.minus, self.gap, bath)})

        @qd.shared
        def steady(self):
            print("traced")
            return qd.steady_state(self.generator())

        @qd.merit(symbol="p", unit="1", source="two-level thermal state")
        def excited(self):
            """Population of the upper level."""
            return self.steady().expect(self.generator().space.qubit.up)

        @qd.merit(symbol="E", unit="energy", source="two-level thermal state")
        def energy(self):
            """Mean energy [of one copy]."""
            return self.steady().expect(self.gap / 2 * self.generator().space.qubit.z)

        @qd.merit(symbol="P", unit="1", source="two-level thermal state")
        def populations(self):
            """Populations (2,)."""
            return self.steady().populations()

        @qd.merit(symbol="a", unit="1", source="none")
        def amplitude(self):
            """A complex number."""
            return jnp.exp(1j * self.gap)

        @qd.merit(symbol="0/0", unit="1", source="none")
        def undefined(self):
            """A ratio of zeros, which the state has no part in."""
            return (self.beta - self.beta) / (self.gap - self.gap)

        def diagnostics(self):
            return {"nested": {"residual": self.steady().residual}, "ok": True}

        def warnings(self, numbers):
            return {"words": self.form}


    class Idle(qd.Model):
        a: float


    class Ordinary:
        pass
    '''
)


@pytest.fixture
def qdiff():
    """Run the command in this process: a result with exit_code, stdout and stderr."""
    return lambda *args: CliRunner().invoke(app, list(args))


@pytest.fixture
def process(tmp_path):
    """Run the command in a process of its own: a result with returncode, stdout and stderr."""

    def run(*args, **env):
        code = "from qdiff.cli.app import main; main()"
        env = {**os.environ, "QDIFF_CACHE_DIR": "off", **env}
        return subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True, env=env, timeout=120)

    return run


@pytest.fixture
def write(tmp_path):
    """Write a file with this source, by default the user's model; returns its path."""

    def file(source: str = SOURCE, name: str = "device.py") -> str:
        path = tmp_path / name
        path.write_text(dedent(source))
        return str(path)

    return file
