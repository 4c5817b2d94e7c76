"""Every command with wrong values: exit code 2, one sentence that names the argument, and no file that was not there."""

import pathlib
import re

import pytest
from commands import DEVICE, command, refused, sentence

SWEEP = "sweep HILL --merit height --out a.nc"
BEST = "optimize HILL height"
FAST = "--starts 2 --steps 2"
INTEGER = "Input should be a valid integer"
# What is typed, and what the sentence must have.
REFUSED = [
    # Names of models
    ("show ''", "there is no model ''"),
    ("show rotor", "there is no model 'rotor'", "did you mean 'rotor-"),
    ("show ROTOR-ENGINE", "there is no model 'ROTOR-ENGINE'"),
    ("show .", "there is no model '.'"),
    ("show :", "a model in a file is named as path/to/file.py:ClassName, but was ':'"),
    ("show device.py", "path/to/file.py:ClassName, but was 'device.py'"),
    ("show device.py:", "path/to/file.py:ClassName, but was 'device.py:'"),
    ("show :Hill", "path/to/file.py:ClassName, but was ':Hill'"),
    ("show nowhere.py:Hill", "there is no file 'nowhere.py'"),
    ("show ./:Hill", "there is no file './'"),
    ("show /dev/null:Hill", "there is no file '/dev/null'"),
    ("show device.py:Hill:Hill", "there is no file 'device.py:Hill'"),
    ("show device.py:Hil", "has no class 'Hil'; did you mean 'Hill'?"),
    ("show 'device.py:Hill()'", "has no class 'Hill()'"),
    ("show device.py:Hill.x", "has no class 'Hill.x'"),
    ("show device.py:qd", "qd in 'device.py' must be a class derived from qdiff.Model"),
    ("show device.py:__name__", "__name__ in 'device.py' must be a class", "type str"),
    ("show", "Missing argument 'MODEL'"),
    ("show HILL HILL", "unexpected extra argument"),
    ("models x", "unexpected extra argument"),
    ("modells", "No such command 'modells'"),
    ("evaluate", "Missing argument 'MODEL'"),
    ("evaluate HILL --sett x=1", "No such option: --sett"),
    ("evaluate HILL --set", "Option '--set' requires an argument"),
    # Values of parameters
    ("evaluate HILL --set x=nan", "x must be finite, but was nan"),
    ("evaluate HILL --set x=inf", "x must be finite, but was inf"),
    ("evaluate HILL --set x=1e400", "x must be finite, but was inf"),
    ("evaluate HILL --set x=-1e400", "x must be finite, but was -inf"),
    ("evaluate HILL --set x=1j", "x must be a number, but was '1j'"),
    ("evaluate HILL --set x=0x10", "x must be a number, but was '0x10'"),
    ("evaluate HILL --set x=True", "x must be a number, but was 'True'"),
    ("evaluate HILL --set x=1,2", "x must be a number, but was '1,2'"),
    ("evaluate HILL --set x=1/2", "x must be a number, but was '1/2'"),
    ("evaluate HILL --set x==1", "x must be a number, but was '=1'"),
    ("evaluate HILL --set x='__import__(\"os\")'", "x must be a number, but was"),
    ("evaluate HILL --set y=-1e-300", "y must be at least 0, but was -1e-300"),
    ("evaluate HILL --set wide=0", "wide must be above 0, but was 0.0"),
    ("evaluate HILL --set wide=-0.0", "wide must be above 0, but was -0.0"),
    ("evaluate HILL --set wide=1e-400", "wide must be above 0, but was 0.0"),
    ("evaluate HILL --set kind=1.0", "kind must be an integer, but was '1.0'"),
    ("evaluate HILL --set kind=1e0", "kind must be an integer, but was '1e0'"),
    ("evaluate HILL --set kind=-1", "kind must be between 0 and 9, but was -1"),
    ("evaluate HILL --set kind=99999999999999999999999", "kind must be between 0 and 9, but was 99999999999999999999999"),
    ("evaluate HILL --set kind=nan", "kind must be an integer, but was 'nan'"),
    ("evaluate HILL --set word=c", "word must be one of 'a', 'b', but was 'c'"),
    ("evaluate HILL --set word=A", "word must be one of 'a', 'b', but was 'A'"),
    ("evaluate HILL --set flag=maybe", "flag must be one of True, False, but was 'maybe'"),
    ("evaluate HILL --set flag=1", "flag must be one of True, False, but was '1'"),
    ("evaluate HILL --set several=1,2,x", "several must be an array of numbers, but was '1,2,x'"),
    ("evaluate HILL --set several=1,,2", "several must be an array of numbers, but was '1,,2'"),
    ("evaluate HILL --set several=1,nan", "several[1] must be finite, but was nan"),
    ("evaluate HILL --set several=", "--set must be followed by NAME=VALUE", "'several='"),
    ("evaluate HILL --set ''", "--set must be followed by NAME=VALUE", "but was ''"),
    ("evaluate HILL --set x", "--set must be followed by NAME=VALUE", "but was 'x'"),
    ("evaluate HILL --set =1", "--set must be followed by NAME=VALUE", "but was '=1'"),
    ("evaluate HILL --set X=1", "Hill has no parameter 'X'"),
    ("evaluate HILL --set __class__=1", "Hill has no parameter '__class__'"),
    ("evaluate HILL --set height=1", "Hill has no parameter 'height'"),
    ("evaluate HILL --set x=1 --set x=2", "x must be set once, but was set to both 1 and 2"),
    ("evaluate HILL --preset low", "Hill has no preset 'low'", "It has high"),
    ("evaluate HILL --preset ''", "Hill has no preset ''"),
    ("evaluate rotor-engine --preset fig1", "RotorEngine has no preset 'fig1'"),
    ("evaluate HILL --merit ''", "Hill has no figure of merit ''"),
    ("evaluate HILL --merit heigth", "Hill has no figure of merit 'heigth'; did you mean 'height'?"),
    ("evaluate HILL --merit __init__", "Hill has no figure of merit '__init__'"),
    ("evaluate HILL --merit x", "Hill has no figure of merit 'x'"),
    ("evaluate HILL --merit height+height", "Hill has no figure of merit 'height+height'"),
    ("evaluate rotor-engine --set l_min=9 --set l_max=-9", "l_min must be below l_max, but l_min = 9 and l_max = -9"),
    ("evaluate spintronic-engine --set tau=-1", "tau must be", "but was -1.0"),
    ("evaluate active-particle --set T=0", "T must be", "but was 0.0"),
    ("evaluate raman-rectifier --set length=0", "length must be", "but was 0"),
    ("evaluate thermophoretic-lattice --set sites=1", "sites must be", "but was 1"),
    # What is sought: figures of merit and formulas
    ("optimize HILL", "Missing argument 'MERIT'"),
    ("optimize HILL ''", "merit must be the name of a figure of merit or a formula"),
    ("optimize HILL heigth", "Hill has no figure of merit 'heigth'; did you mean 'height'?"),
    ("optimize HILL 'height + heigth'", "Hill has no figure of merit or parameter 'heigth'"),
    ("optimize HILL 'height *'", "merit must be the name of a figure of merit or a formula", "but was 'height *'"),
    ("optimize HILL '(height'", "merit must be the name of a figure of merit or a formula"),
    ("optimize HILL height.__class__", "merit must be the name of a figure of merit or a formula", "'height.__class__'"),
    ('optimize HILL \'__import__("os").system("touch bad")\'', "merit must be the name of a figure of merit or a formula"),
    ("optimize HILL 'open(height)'", "merit must be the name of a figure of merit or a formula"),
    ("optimize HILL 'height if x else y'", "merit must be the name of a figure of merit or a formula"),
    ("optimize HILL 'lambda: height'", "merit must be the name of a figure of merit or a formula"),
    ("optimize HILL '[height]'", "merit must be the name of a figure of merit or a formula"),
    ("optimize HILL 'height; x'", "merit must be the name of a figure of merit or a formula"),
    ("optimize HILL '(h := height)'", "merit must be the name of a figure of merit or a formula"),
    ("optimize HILL 'sqrt(height, 2)'", "merit must be the name of a figure of merit or a formula"),
    ("optimize HILL 'sqrt(x=height)'", "merit must be the name of a figure of merit or a formula"),
    ("optimize HILL 'height % 2'", "merit must be the name of a figure of merit or a formula"),
    ("optimize HILL 'height @ x'", "merit must be the name of a figure of merit or a formula"),
    ("optimize HILL \"'height'\"", "merit must be the name of a figure of merit or a formula"),
    ("optimize HILL 'f\"{height}\"'", "merit must be the name of a figure of merit or a formula"),
    ("optimize HILL '1j*height'", "merit must be the name of a figure of merit or a formula"),
    ("optimize HILL 'True + height'", "merit must be the name of a figure of merit or a formula"),
    ("optimize HILL True", "Hill has no figure of merit 'True'"),
    ("optimize HILL __class__", "Hill has no figure of merit '__class__'"),
    ("optimize HILL 'height + kind'", "merit must be of merits and of parameters that are numbers", "but kind is not"),
    ("optimize HILL 'height + several'", "but several is not"),
    ("optimize HILL '9**9**9**9'", "merit must be of finite numbers, but 9 ** 9 ** 9 is none"),
    ("optimize HILL 'height + 1/0'", "merit must be of finite numbers, but 1 / 0 is none"),
    ("optimize HILL '1e999*height'", "merit must be of finite numbers"),
    ("optimize HILL 'height*(-1)**0.5'", "merit must be of finite numbers, but (-1) ** 0.5 is none"),
    ("optimize HILL 'height*log(0)'", "merit must be of finite numbers, but log(0) is none"),
    (["optimize", "HILL", "9" * 400 + "*height"], "merit must be of finite numbers, but 999"),
    (["optimize", "HILL", "height" + "+1" * 200], "merit must be nested at most 100 deep, but 'height+1+1"),
    (["optimize", "HILL", "height" + "+1" * 30000], "merit must be nested at most 100 deep"),
    (["optimize", "HILL", "(" * 5000 + "height" + ")" * 5000], "merit must be"),
    (["optimize", "HILL", "sqrt(" * 150 + "height" + ")" * 150], "merit must be nested at most 100 deep, but 'sqrt(sqrt("),
    (["optimize", "HILL", "height" + "**2" * 150], "merit must be nested at most 100 deep"),
    (f"optimize HILL vector {FAST}", "merit must be a real number to be optimized, but vector has shape (2,)"),
    (f"optimize HILL imaginary {FAST}", "merit must be a real number to be optimized, but imaginary has", "complex128"),
    # Where it is sought
    (f"{BEST} --over ''", "--over must be followed by NAME=LOW:HIGH", "but was ''"),
    (f"{BEST} --over x", "--over must be followed by NAME=LOW:HIGH", "but was 'x'"),
    (f"{BEST} --over x=0", "--over must be followed by NAME=LOW:HIGH", "but was 'x=0'"),
    (f"{BEST} --over x=0:1:2", "--over must be followed by NAME=LOW:HIGH", "but was 'x=0:1:2'"),
    (f"{BEST} --over x=a:b", "--over must be followed by NAME=LOW:HIGH", "but was 'x=a:b'"),
    (f"{BEST} --over z=0:1", "Hill has no parameter 'z'"),
    (f"{BEST} --over x=nan:1", "over['x'] must be finite, but was (nan, 1)"),
    (f"{BEST} --over x=-inf:inf", "over['x'] must be finite, but was (-inf, inf)"),
    (f"{BEST} --over x=1:0", "over['x'] must have low < high, but was (1, 0)"),
    (f"{BEST} --over x=1:1", "over['x'] must have low < high, but was (1, 1)"),
    (f"{BEST} --over wide=0:1", "over['wide'] must stay where wide is physical, above 0, but was (0, 1)"),
    (f"{BEST} --over kind=1:2", "over['kind'] must be a parameter that varies continuously"),
    (f"{BEST} --over word=1:2", "over['word'] must be a parameter that varies continuously"),
    (f"{BEST} --over x=0:1 --over x=0:2", "x must be searched between one pair of bounds"),
    (f"{BEST} --tie ''", "--tie must be followed by NAME=OTHER", "but was ''"),
    (f"{BEST} --tie x=x", "ties['x'] must be a parameter that is not searched itself"),
    (f"{BEST} --tie wide=y", "ties['wide'] must stay where wide is physical, above 0, but y runs to 0"),
    (f"{BEST} --tie kind=y", "ties['kind'] must be a parameter that varies continuously"),
    (f"{BEST} --constraint ''", "constraints must be inequalities", "has ''"),
    (f"{BEST} --constraint x", "constraints must be inequalities", "has 'x'"),
    (f"{BEST} --constraint 'x < 1'", "constraints must be inequalities", "has 'x < 1'"),
    (f"{BEST} --constraint 'x == 1'", "constraints must be inequalities"),
    (f"{BEST} --constraint '0 <= x <= 1'", "constraints must be inequalities"),
    (f"{BEST} --constraint 'x <= 1; import os'", "constraints must be inequalities"),
    (f"{BEST} --constraint 'x.real <= 1'", "constraints must be inequalities", "'x.real <= 1'"),
    (f"{BEST} --constraint 'exec(x) <= 1'", "constraints must be inequalities"),
    (f"{BEST} --constraint '__builtins__ <= x'", "Hill has no figure of merit or parameter '__builtins__'"),
    (f"{BEST} --constraint 'x <= 9**9**9'", "constraints must be of finite numbers, but 9 ** 9 ** 9 is none"),
    (f"{BEST} --constraint 'x <= 0**-1'", "constraints must be of finite numbers, but 0 ** (-1) is none"),
    (f"{BEST} --constraint 'kind <= 1'", "constraints must be of merits and of parameters", "but kind is not"),
    ([*BEST.replace("HILL", "device.py:Hill").split(), "--constraint", "x" + "*x" * 3000 + " <= 1"], "constraints must be nested at most"),
    (f"{BEST} --constraint 'vector <= 1' {FAST}", "constraints must be real numbers, but 'vector <= 1' has shape (2,)"),
    (f"{BEST} --constraint 'imaginary <= 1' {FAST}", "constraints must be real numbers", "complex128"),
    # How it is sought
    (f"{BEST} --starts 0", "starts must be an integer of at least 1, but was 0"),
    (f"{BEST} --starts -1", "starts must be an integer of at least 1, but was -1"),
    (f"{BEST} --starts a", "Invalid value for '--starts'", INTEGER),
    (f"{BEST} --starts 1.5", "Invalid value for '--starts'", INTEGER),
    (f"{BEST} --starts nan", "Invalid value for '--starts'", INTEGER),
    (f"{BEST} --starts ''", "Invalid value for '--starts'", INTEGER),
    (f"{BEST} --starts 100000000000", "starts must be at most 100000, but was 100000000000"),
    (f"{BEST} --starts {10**40}", "starts must be at most 100000"),
    (f"{BEST} --steps 0", "steps must be an integer of at least 1, but was 0"),
    (f"{BEST} --steps 1e3", "Invalid value for '--steps'", INTEGER),
    (f"{BEST} --steps 99999999999", "steps must be at most 1000000, but was 99999999999"),
    (f"{BEST} --seed -1", "seed must be an integer of at least 0, but was -1"),
    (f"{BEST} --seed 1.5", "Invalid value for '--seed'", INTEGER),
    (f"{BEST} --optimizer ''", "optimizer must be one of adabelief", "but was ''"),
    (f"{BEST} --optimizer __class__", "optimizer must be one of adabelief", "but was '__class__'"),
    (f"{BEST} --optimizer Adam", "optimizer must be one of adabelief", "but was 'Adam'"),
    (f"{BEST} --polish ''", 'polish must be "newton" or "quasi-newton", but was \'\''),
    (f"{BEST} --polish Newton", 'polish must be "newton" or "quasi-newton", but was \'Newton\''),
    # Compromises
    ("tradeoff HILL height", "Missing argument 'OTHER'"),
    ("tradeoff HILL height ''", "merit must be the name of a figure of merit or a formula"),
    ("tradeoff HILL height x", "Hill has no figure of merit 'x'"),
    ("tradeoff HILL height height --weights 1", "weights must be at least 2 values of alpha"),
    ("tradeoff HILL height height --weights -3", "weights must be at least 2 values of alpha"),
    ("tradeoff HILL height height --weights 1.5", "Invalid value for '--weights'", INTEGER),
    ("tradeoff HILL height height --weights 100000000000", "weights must be at most 100000 values of alpha"),
    ("tradeoff HILL height height --weights 10000 --starts 10000", "weights must be so few that `starts` of each"),
    ("tradeoff HILL height height --over x=0:nan", "over['x'] must be finite"),
    ("tradeoff HILL height height --seed -1", "seed must be an integer of at least 0"),
    ("tradeoff HILL height '1/0'", "merit must be of finite numbers, but 1 / 0 is none"),
    ("tradeoff HILL height height --constraint 'x <'", "constraints must be inequalities"),
    # Sensitivities
    ("sensitivity HILL", "Missing argument 'MERIT'"),
    ("sensitivity HILL heigth", "Hill has no figure of merit 'heigth'"),
    ("sensitivity HILL 'height + x'", "Hill has no figure of merit 'height + x'"),
    ("sensitivity HILL vector", "merit must be a real number, but vector has shape (2,)"),
    ("sensitivity HILL imaginary", "merit must be a real number, but imaginary has"),
    ("sensitivity HILL height --parameter ''", "Hill has no parameter ''"),
    ("sensitivity HILL height --parameter kind", "parameters must be ones that vary continuously, but kind is a setting"),
    ("sensitivity HILL height --parameter several", "parameters must be in use"),
    ("sensitivity HILL height --uncertainty ''", "--uncertainty must be followed by NAME=SIGMA", "but was ''"),
    ("sensitivity HILL height --uncertainty x", "--uncertainty must be followed by NAME=SIGMA"),
    ("sensitivity HILL height --uncertainty x=y", "--uncertainty must be followed by NAME=SIGMA"),
    ("sensitivity HILL height --uncertainty x=0", "uncertainty of x must be a positive number", "but was 0.0"),
    ("sensitivity HILL height --uncertainty x=-1", "uncertainty of x must be a positive number", "but was -1.0"),
    ("sensitivity HILL height --uncertainty x=nan", "uncertainty of x must be a positive number", "but was nan"),
    ("sensitivity HILL height --uncertainty x=inf", "uncertainty of x must be a positive number", "but was inf"),
    ("sensitivity HILL height --uncertainty kind=1", "uncertainty must be given for parameters that are looked at, but kind"),
    ("sensitivity HILL height --parameter x --uncertainty y=1", "uncertainty must be given for parameters that are looked at, but y"),
    ("sensitivity HILL height --samples 1", "samples must be an integer of at least 2, but was 1"),
    ("sensitivity HILL height --samples 99999999999", "samples must be at most 10000000, but was 99999999999"),
    ("sensitivity HILL height --seed -1", "seed must be an integer of at least 0, but was -1"),
    # Grids
    (SWEEP, "Missing option '--grid'"),
    ("sweep HILL --grid x=0:1:2 --out a.nc", "Missing option '--merit'"),
    ("sweep HILL --grid x=0:1:2 --merit height", "Missing option '--out'"),
    (f"{SWEEP} --grid ''", "--grid must be followed by NAME=START:STOP:COUNT or NAME=v1,v2,...", "but was ''"),
    (f"{SWEEP} --grid x", "--grid must be followed by", "but was 'x'"),
    (f"{SWEEP} --grid x=", "--grid must be followed by", "but was 'x='"),
    (f"{SWEEP} --grid x=a", "--grid must be followed by", "but was 'x=a'"),
    (f"{SWEEP} --grid x=1,,2", "--grid must be followed by", "but was 'x=1,,2'"),
    (f"{SWEEP} --grid x=0:1", "--grid must be followed by", "but was 'x=0:1'"),
    (f"{SWEEP} --grid x=0:1:2:3", "--grid must be followed by", "but was 'x=0:1:2:3'"),
    (f"{SWEEP} --grid x=0:1:-1", "--grid must be followed by", "but was 'x=0:1:-1'"),
    (f"{SWEEP} --grid x=0:1:1e3", "--grid must be followed by", "but was 'x=0:1:1e3'"),
    (f"{SWEEP} --grid x=0:1:0", "the grid of x must be a sequence of at least one number, but has shape (0,)"),
    (f"{SWEEP} --grid x=0:nan:2", "--grid must have finite ends", "but was 'x=0:nan:2'"),
    (f"{SWEEP} --grid x=-inf:inf:3", "--grid must have finite ends", "but was 'x=-inf:inf:3'"),
    (f"{SWEEP} --grid x=-1e308:1e308:3", "--grid must have finite ends", "but was 'x=-1e308:1e308:3'"),
    (f"{SWEEP} --grid x=0:1:100000000000000", "at most 10000000 values, but was 'x=0:1:100000000000000'"),
    (f"{SWEEP} --grid x=1,nan", "the grid of x must stay where it is physical, a finite number, but has nan"),
    (f"{SWEEP} --grid wide=0,1", "the grid of wide must stay where it is physical, above 0, but has 0"),
    (f"{SWEEP} --grid kind=1,2", "kind is a setting, which a grid cannot vary"),
    (f"{SWEEP} --grid word=1,2", "word is a setting, which a grid cannot vary"),
    (f"{SWEEP} --grid several=1,2", "several must be a single number in the model to have a grid"),
    (f"{SWEEP} --grid out=1,2", "Hill has no parameter 'out'"),
    (f"{SWEEP} --grid x=0:1:2 --grid x=0:1:3", "x must have one grid"),
    (f"{SWEEP} --grid x=0:1:1000001 --grid y=0:1:1000001", "grids must have at most 1e+12 points in all, but have 1000001 x 1000001"),
    (f"{SWEEP} --grid x=0:1:2 --merit x", "Hill has no figure of merit 'x'"),
    (f"{SWEEP} --grid x=0:1:2 --together ''", "together must group parameters that have a grid", "has ''"),
    (f"{SWEEP} --grid x=0:1:2 --together x,x", "together must group parameters that have a grid, each once, but has 'x'"),
    (f"{SWEEP} --grid x=0:1:2 --together x,y", "together must group parameters that have a grid, each once, but has 'y'"),
    (f"{SWEEP} --grid x=0:1:2 --grid y=0:1:3 --together x,y", "together must group grids of one length, but has x 2, y 3"),
    (f"{SWEEP} --grid x=0:1:2 --chunk 0", "chunk must be a positive integer, but was 0"),
    (f"{SWEEP} --grid x=0:1:2 --chunk -1", "chunk must be a positive integer, but was -1"),
    (f"{SWEEP} --grid x=0:1:2 --chunk 1.5", "Invalid value for '--chunk'", INTEGER),
    # Reruns, published figures, new models
    ("rerun", "Missing argument 'FILE.nc'"),
    ("rerun ''", "it must name a file or a folder, but was empty"),
    ("rerun .", "path must be a file, but . is none"),
    ("rerun nowhere.nc", "there is no file 'nowhere.nc'"),
    ("rerun device.py", "device.py must be a whole output file of qdiff, but cannot be read"),
    ("rerun /dev/null", "path must be a file, but /dev/null is none"),
    ("figure", "Missing argument 'NAME'"),
    ("figure ''", "there is no figure ''"),
    ("figure ALL", "there is no figure 'ALL'"),
    ("figure rotor4", "there is no figure 'rotor4'; did you mean 'rotor-4'?"),
    ("figure rotor-4 --readme device.py", "--readme must come with all"),
    ("figure all --readme nowhere.md", "readme must be a file with the marks of the table, but nowhere.md is not one"),
    ("figure all --readme device.py", "readme must be a file with the marks of the table, but device.py is not one", "claims: begin"),
    ("figure all --readme ''", "Invalid value for '--readme'", "was empty"),
    ("new", "Missing argument 'NAME'"),
    ("new ''", "NAME must be a name that a Python class can have, such as HeatValve, but was ''"),
    ("new x.y", "NAME must be a name", "but was 'x.y'"),
    ("new ../x", "NAME must be a name", "but was '../x'"),
    ("new None", "NAME must be a name", "but was 'None'"),
    ("new class", "NAME must be a name", "but was 'class'"),
    ("new 1x", "NAME must be a name", "but was '1x'"),
    ("new Device", "NAME must be one whose file is new, but device.py exists"),
    # Where results go
    (f"{BEST} --out ''", "Invalid value for '--out'", "it must name a file or a folder, but was empty"),
    (f"{BEST} --out device.py", "--out must be a folder, but device.py is a file"),
    (f"{BEST} --out device.py/deeper/still", "--out must be a folder, but device.py is a file"),
    (f"{BEST} --out /dev/full", "--out must be a folder, but /dev/full is a file"),
    (f"{BEST} --out {'a' * 300}", "--out (aaa", "cannot be written: File name too long"),
    (f"{BEST} --resume", "--resume needs --out"),
    (f"{BEST} --resume --out new", "--resume needs a search to go on with, but new has no journal.jsonl"),
    (f"{BEST} --out /proc/nowhere {FAST}", "out (/proc/nowhere) cannot be written"),
    ("tradeoff HILL height height --out device.py", "--out must be a folder, but device.py is a file"),
    ("tradeoff HILL height height --out ''", "Invalid value for '--out'"),
    ("tradeoff HILL height height --out new --resume", "--resume needs a search to go on with"),
    (f"{SWEEP.replace('a.nc', '.')} --grid x=0:1:2", "out must be a file, but . is a folder"),
    (f"{SWEEP.replace('a.nc', 'device.py')} --grid x=0:1:2", "out must be a new file, but device.py exists"),
    (f"{SWEEP.replace('a.nc', '/dev/full')} --grid x=0:1:2", "out must be a new file, but /dev/full exists"),
    (f"{SWEEP.replace('a.nc', 'device.py/a.nc')} --grid x=0:1:2", "out must be a folder, but device.py is a file"),
    (f"{SWEEP.replace('a.nc', 'a' * 300)} --grid x=0:1:2", "out (aaa", "cannot be written: File name too long"),
    ("sweep HILL --merit height --grid x=0:1:2 --out ''", "Invalid value for '--out'", "was empty"),
    ("sweep HILL --merit height --grid x=0:1:2 --out /proc/a.nc", "out (/proc/a.nc) cannot be written"),
    ("figure rotor-4 --out device.py", "--out must be a folder, but device.py is a file"),
    ("figure rotor-4 --out device.py/deeper", "--out must be a folder, but device.py is a file"),
    ("figure rotor-4 --out ''", "Invalid value for '--out'"),
    (f"figure rotor-4 --out {'a' * 300}", "--out (aaa", "cannot be written: File name too long"),
]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "device.py").write_text(DEVICE)
    return tmp_path


@pytest.mark.parametrize(("line", "words"), [pytest.param(case[0], case[1:], id=str(case[0])[:70]) for case in REFUSED])
def test_refused_in_one_sentence(line, words, counted):
    refused(line, *words)
    counted("abuse cases")


# What can be tried only, and has no value anywhere.
FAILED = [
    (f"optimize HILL nowhere {FAST}", "nowhere is not a finite number at any of the 2 starts"),
    (f"optimize HILL height/0 {FAST}", "height/0 is not a finite number at any of the 2 starts"),
    (f"optimize HILL height**1e300 {FAST} --over y=2:3", "height**1e300 is not a finite number at any of the 2 starts"),
    (f"optimize HILL height --over x=-1e308:1e308 {FAST}", "height is not a finite number at any of the 2 starts"),
    (f"tradeoff HILL height nowhere --weights 2 {FAST}", "height and nowhere are both finite at none of the points tried"),
    ("sensitivity HILL nowhere", "nowhere is not a finite number at these parameters"),
    ("sensitivity HILL height --set x=1e200", "height is not a finite number at these parameters"),
]


@pytest.mark.parametrize(("line", "words"), FAILED)
def test_a_search_without_a_value_anywhere(line, words, counted):
    refused(line, words, code=3)
    counted("abuse cases")


@pytest.mark.parametrize("kind", ["x >= 5", "nowhere <= 1", "1 <= 0"])
def test_constraints_that_leave_nothing(kind, counted):
    found = command(f"{BEST} --constraint '{kind}' {FAST} --out kept")
    assert found.exit_code == 2 and "constraints must leave something to search" in sentence(found.stderr)
    counted("abuse cases")


@pytest.mark.parametrize(
    ("line", "name"),
    [
        ("--merit height --set x=1e308", "height"),
        ("--merit height --set wide=1e-308", "height"),
        ("--merit nowhere", "nowhere"),
        ("--merit height --merit nowhere --json", "nowhere"),
        ("--merit height --set x=1e153 --set wide=0.01 --gradient", "d height / d wide"),
    ],
)
def test_a_number_that_is_none_is_named(line, name, counted):
    """A figure of merit or a derivative that is not finite by itself is shown, with a word on standard error."""
    found = command(f"evaluate HILL {line}")
    said = [text for text in found.stderr.splitlines() if text.startswith("qdiff: ")]
    assert found.exit_code == 0 and said == [f"qdiff: {name} is not a finite number at these parameters, though nothing failed"]
    counted("abuse cases")


def test_what_is_finite_is_not_named(counted):
    found = command("evaluate HILL --merit height --set x=1e-300 --set wide=1e300 --gradient")
    assert (found.exit_code, found.stderr) == (0, "")
    counted("abuse cases")


@pytest.mark.parametrize("sigma", ["1e308", "1e-320", "1e-300"])
def test_huge_and_tiny_uncertainties(sigma, counted):
    """The error bar is |dF/dx| sigma = 0.5 sigma, also where its square is no number."""
    import json

    found = command(f"sensitivity HILL height --parameter x --uncertainty x={sigma} --json")
    assert found.exit_code == 0 and found.stderr == ""
    record = json.loads(found.stdout)
    assert record["error_linear"] == pytest.approx(0.5 * float(sigma), rel=1e-12, abs=1e-323)
    assert record["parameters"]["x"]["share"] == pytest.approx(1)
    assert record["samples"] + record["lost"] == 1024
    counted("abuse cases")


def test_a_sweep_of_what_has_no_derivative(counted):
    """Arrays and complex figures of merit have no derivative variables, and a figure of merit without a value has its reason."""
    import xarray

    found = command("sweep HILL --merit vector --merit imaginary --merit nowhere --grid x=0:1:3 --gradient --out a.nc")
    assert found.exit_code == 0 and "3 of them without a value" in found.stdout and "not a finite number" in found.stdout
    with xarray.open_dataset("a.nc") as data:
        assert data.imaginary_imag.values.tolist() == [0, 0.5, 1] and "d_nowhere_d_x" in data and "d_vector_d_x" not in data
    found = command("sweep HILL --merit vector --merit imaginary --grid x=0:1:3 --gradient --out b.nc")
    assert found.exit_code == 0
    with xarray.open_dataset("b.nc") as data:
        assert data.vector.values.tolist() == [[0, 0], [0.5, 0.5], [1, 1]]
    counted("abuse cases", n=2)


def test_links_to_nowhere(here, counted):
    """A link that leads in a circle or nowhere is no place for results, and no model."""
    (here / "loop").symlink_to("loop")
    (here / "gone").symlink_to("not/there")
    (here / "loop.py").symlink_to("loop.py")
    for line, words in [
        (f"{BEST} --out loop", "--out must be a folder, but loop is a link to nowhere"),
        (f"{BEST} --out gone", "--out must be a folder, but gone is a link to nowhere"),
        (f"{BEST} --out loop/deeper", "--out must be a folder, but loop is a link to nowhere"),
        ("figure rotor-4 --out loop", "--out must be a folder, but loop is a link to nowhere"),
        ("sweep HILL --merit height --grid x=0,1 --out gone", "out must be a new file, but gone exists"),
        ("sweep HILL --merit height --grid x=0,1 --out loop/a.nc", "out must be a folder, but loop is a link to nowhere"),
        ("show loop.py:Hill", "there is no file 'loop.py'"),
        ("new Loop", "NAME must be one whose file is new, but loop.py exists"),
        ("rerun loop", "there is no file 'loop'"),
    ]:
        refused(line, words)
        counted("abuse cases")


def test_a_folder_that_may_not_be_written(here, monkeypatch, counted):
    """As a user whom the folder refuses sees it; root is refused by no folder, so that the question is answered for it."""
    import os

    (here / "mine").mkdir(mode=0o500)
    asked = os.access
    monkeypatch.setattr(os, "access", lambda path, mode, **more: pathlib.Path(path).name != "mine" and asked(path, mode, **more))
    for line in (f"{BEST} --out mine", f"{BEST} --out mine/a", "tradeoff HILL height height --out mine", "figure rotor-4 --out mine"):
        refused(line, "--out must be a folder that can be written to, but mine cannot")
        counted("abuse cases")
    refused("sweep HILL --merit height --grid x=0,1 --out mine/a.nc", "out must be a folder that can be written to, but mine cannot")
    counted("abuse cases")


@pytest.mark.parametrize("name", ["result.json", "trace.csv", "picture.png", "journal.jsonl"])
def test_no_file_of_another_search_is_touched(here, name, counted):
    (here / "out").mkdir()
    (here / "out" / name).write_text("mine")
    refused(f"{BEST} --out out", name)
    counted("abuse cases")


@pytest.mark.parametrize("name", ["result.json", "curve.csv", "picture.png", "journal.jsonl"])
def test_no_file_of_another_curve_is_touched(here, name, counted):
    (here / "out").mkdir()
    (here / "out" / name).write_text("mine")
    refused("tradeoff HILL height height --out out", name)
    counted("abuse cases")


@pytest.mark.parametrize("kind", ["png", "svg", "nc"])
def test_no_file_of_another_figure_is_touched(here, kind, counted):
    (here / "out").mkdir()
    (here / "out" / f"rotor-4.{kind}").write_text("mine")
    for name in ("rotor-4", "all"):
        refused(f"figure {name} --out out", "--out must be a folder without the files of another run", f"rotor-4.{kind}")
        counted("abuse cases")


FULL = r"No space left on device; \d+ evaluations are kept in"


def test_a_disk_that_is_full(here, monkeypatch, counted):
    """An error of the disk names the argument, and where what was computed is kept; the search goes on from there."""
    import errno

    from qdiff.studies.store import optimum_files, tradeoff_files

    def full(*args):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(optimum_files, "write_json", full)
        patch.setattr(tradeoff_files, "write_json", full)
        found = command(f"{BEST} --out best {FAST}")
        assert found.exit_code == 2 and re.fullmatch(
            rf"folder \(best\) cannot be written: {FULL} best/journal.jsonl: make room, and resume", sentence(found.stderr)
        )
        found = command(f"tradeoff HILL height height --weights 2 --out curve {FAST}")
        assert found.exit_code == 2 and re.fullmatch(
            rf"folder \(curve\) cannot be written: {FULL} curve/journal.jsonl: make room, and resume", sentence(found.stderr)
        )
    assert command(f"{BEST} --out best {FAST} --resume").exit_code == 0 and (here / "best" / "result.json").exists()
    counted("abuse cases", n=2)


def test_the_checks_can_fail(here):
    """A command that is not refused, other words, another code, a file that is written, a sentence too many."""
    with pytest.raises(AssertionError):
        refused("models")
    with pytest.raises(AssertionError):
        refused("show nothing", "there is no figure")
    with pytest.raises(AssertionError):
        refused("show nothing", "there is no model", code=3)
    with pytest.raises(AssertionError):
        refused("new Valve")
    with pytest.raises(AssertionError):
        sentence("qdiff: one\nqdiff: two\n")
    assert len(REFUSED) > 200
