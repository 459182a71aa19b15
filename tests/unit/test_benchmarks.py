"""The benchmark programs run and say what they promise; what they measure is no test's business."""
import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", *words], cwd=ROOT, capture_output=True, text=True)


def test_echo_measures_every_server_and_its_json_stands_alone() -> None:
    done = run("benchmarks.echo", "--json", "--rounds", "1", "--seconds", "0.05", "--clients", "8",
               "--servers", "bare,batches,endpoint")
    assert done.returncode == 0, done.stderr
    assert "endpoint" in done.stderr                            # the table
    document = json.loads(done.stdout)
    assert document["benchmark"] == "echo" and document["settings"]["clients"] == 8
    assert [(row["server"], row["size"]) for row in document["rows"]] == [
        (server, size) for size in (64, 1000) for server in ("bare", "batches", "endpoint")
    ]
    assert all(row["cpu_us"] > 0 and row["messages_per_s"] > 0 for row in document["rows"])
    assert {row["ratio"] for row in document["rows"] if row["server"] == "bare"} == {1.0}


def test_an_unknown_server_is_named() -> None:
    done = run("benchmarks.echo", "--servers", "bare,twisted")
    assert done.returncode == 1 and "twisted" in done.stderr and "asyncio" in done.stderr


def result(path: Path, benchmark: str, cpu_us: float) -> str:
    rows = [{"server": "bare", "size": 64, "cpu_us": cpu_us, "note": "text"}]
    path.write_text("a table\n" + json.dumps({"benchmark": benchmark, "keys": ["server", "size"], "rows": rows}) + "\n")
    return str(path)


def test_compare_sets_two_results_side_by_side(tmp_path: Path) -> None:
    done = run("benchmarks.compare", result(tmp_path / "a", "echo", 2.0), result(tmp_path / "b", "echo", 3.0))
    assert done.returncode == 0
    assert done.stdout.splitlines()[-1].split() == ["bare", "64", "cpu_us", "2.0", "3.0", "1.5"]


def test_compare_takes_every_table_that_both_have(tmp_path: Path) -> None:
    for name, us in (("a", 2.0), ("b", 3.0)):
        one, other = (Path(result(tmp_path / "part", benchmark, us)).read_text() for benchmark in ("echo", name))
        (tmp_path / name).write_text(one + other)
    done = run("benchmarks.compare", str(tmp_path / "a"), str(tmp_path / "b"))
    assert done.returncode == 0
    assert [line.split()[-1] for line in done.stdout.splitlines() if line.startswith("bare")] == ["1.5"]


def test_compare_refuses_what_cannot_be_compared(tmp_path: Path) -> None:
    echo, other = result(tmp_path / "a", "echo", 2.0), result(tmp_path / "b", "pipeline", 3.0)
    (tmp_path / "c").write_text("no JSON at all\n")
    for words, sentence in (
        ((echo, other), "only runs of the same benchmark"), ((echo, str(tmp_path / "c")), "/c: "),
        ((echo, str(tmp_path / "missing")), "No such file"),
    ):
        done = run("benchmarks.compare", *words)
        assert done.returncode == 2 and sentence in done.stderr and "Traceback" not in done.stderr


def test_compression_measures_every_message_with_every_dictionary() -> None:
    done = run("benchmarks.compression", "--json", "--rounds", "1")
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["rows"]
    assert len(rows) == 21 and {row["dictionary"] for row in rows} == {"none", "schema", "words"}
    assert all(row["saved"] == 0 for row in rows if row["messages"] == "random bytes")
    assert all(row["saved"] > 0.2 for row in rows if row["messages"] == "50 lines at once")


def test_the_guards_checks_are_measured() -> None:
    done = run("benchmarks.guard", "--json", "--rounds", "1")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert [row["check"] for row in document["rows"]] == ["session", "hello", "banned", "handshake", "bad"]
    assert all(0 < row["ns"] < 10_000 for row in document["rows"])


def test_shots_and_inputs_are_measured() -> None:
    done = run("benchmarks.rewind", "--json", "--rounds", "1")
    assert done.returncode == 0 and "record_ns" in done.stderr, done.stderr
    rows = json.loads(done.stdout)["rows"]
    assert [row["targets"] for row in rows] == [1_000, 10_000]
    assert all(0.5 < row["hit"] < 1 and 0.02 < row["walled"] < 0.5 for row in rows)
    done = run("benchmarks.authority", "--json", "--rounds", "1", "--seconds", "0.2")
    assert done.returncode == 0 and "steer_ns" in done.stderr, done.stderr
    rows = json.loads(done.stdout)["rows"]
    assert [row["map"] for row in rows] == ["none", "town"]
    assert rows[0]["done"] > 0.95 and rows[0]["held"] == 0 and rows[1]["held"] > 0 and 0.5 < rows[1]["done"] < 0.98


def test_a_small_login_storm_lets_everybody_in() -> None:
    done = run("benchmarks.logins", "--json", "--clients", "100")
    assert done.returncode == 0, done.stderr
    row = json.loads(done.stdout)["rows"][0]
    assert row["joined"] == 100 and row["ratio"] > 1 and row["logins_per_s"] > 0


def test_congestion_says_what_a_slow_line_made_of_each_load_and_what_missed_its_aim() -> None:
    done = run("benchmarks.congestion", "--json", "--rounds", "1", "--seconds", "2")
    assert done.returncode in (0, 1) and "sending" in done.stderr, done.stderr
    document = json.loads(done.stdout)
    assert [row["rtt_ms"] for row in document["rows"]] == [10, 50, 150] * 4
    assert all(0 < row["use"] <= 1.01 and row["p95_ms"] >= row["p50_ms"] for row in document["rows"])
    assert done.returncode == any(row["missed"] for row in document["rows"])
