"""`qdiff figure`."""

import errno
import json

from qdiff.figures import NAMES


def test_one_figure(qdiff, tmp_path):
    """Three files, the claims with verdicts, the caption; a second run writes nothing over them."""
    result = qdiff("figure", "thermophoresis-2c", "--quick", "--out", str(tmp_path))
    assert result.exit_code == 0, result.output
    assert sorted(p.name for p in tmp_path.iterdir()) == [f"thermophoresis-2c.{kind}" for kind in ("nc", "png", "svg")]
    assert "the effect is stronger for a larger gradient" in result.stdout and "2 of 2 claims hold" in result.stdout
    again = qdiff("figure", "thermophoresis-2c", "--quick", "--out", str(tmp_path))
    assert again.exit_code == 2 and "thermophoresis-2c.png" in again.stderr and "files of another run" in again.stderr


def test_json(qdiff, tmp_path):
    result = qdiff("figure", "thermophoresis-2c", "--quick", "--json", "--out", str(tmp_path / "new"))
    assert result.exit_code == 0, result.output
    found = json.loads(result.stdout)
    assert [claim["verdict"] for claim in found["claims"]["thermophoresis-2c"]] == ["holds", "holds"] and found["quick"] is True


def test_a_folder_of_its_own_and_the_table_of_all(qdiff, tmp_path, monkeypatch):
    """Without --out a new folder here; with --readme the claims stand in a file's table."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("qdiff.figures.NAMES", {"thermophoresis-2c": NAMES["thermophoresis-2c"]})
    (tmp_path / "R.md").write_text("before\n<!-- claims: begin -->\nold\n<!-- claims: end -->\nafter\n")
    result = qdiff("figure", "all", "--quick", "--readme", "R.md")
    assert result.exit_code == 0, result.output
    assert sorted(p.name for p in tmp_path.iterdir()) == ["R.md", "qdiff-out-figure-all"]
    lines = (tmp_path / "R.md").read_text().splitlines()
    assert lines[0] == "before" and lines[-1] == "after" and "old" not in lines
    assert sum(line.startswith("| thermophoresis-2c |") and line.endswith("| holds |") for line in lines) == 2


def test_a_full_disk_ends_with_its_name(qdiff, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device", "picture.png")

    monkeypatch.setattr("qdiff.figures.files.save", full)
    result = qdiff("figure", "thermophoresis-2c", "--quick", "--out", str(tmp_path / "new"))
    assert result.exit_code == 2 and result.stderr.endswith("qdiff: No space left on device: picture.png\n"), result.stderr
