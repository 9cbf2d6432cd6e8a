#!/usr/bin/python3 -B
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs engine_loops and prints rows of markdown: engine_rows.py PROGRAM [ROUNDS]; times are processor time, medians."""
import json
import statistics
import subprocess
import sys

# Benchmark, what it is called here, the limit in the same run, the goal of the ratio.
ROWS = (
    ("write_random/pmem:1/depth:1", "type p, 4 KiB random write, one at a time", "bare_persistent_copy", "≤ 1.5"),
    ("write_random/pmem:1/depth:32", "the same, 32 at once", "bare_persistent_copy", "≤ 1.5"),
    ("write_random/pmem:0/depth:1", "type s, 4 KiB random write, one at a time", "bare_copy", ""),
    ("write_random/pmem:0/depth:32", "the same, 32 at once", "bare_copy", ""),
    ("read_random/pmem:1/hit:1", "type p, 4 KiB read, hit", "bare_copy", ""),
    ("read_random/pmem:0/hit:1", "type s, 4 KiB read, hit", "bare_copy", ""),
    ("read_random/pmem:1/hit:0", "type p, 4 KiB read, miss, without the origin's I/O", None, ""),
    ("read_random/pmem:0/hit:0", "type s, 4 KiB read, miss, without the origin's I/O", None, ""),
    ("commit/pmem:1/blocks:1", "type p, commit of 1 block", None, ""),
    ("commit/pmem:1/blocks:64", "type p, commit of 64 blocks, each", None, ""),
    ("commit/pmem:1/blocks:65536/iterations:10", "type p, commit of 65536 blocks, each", None, ""),
    ("commit/pmem:0/blocks:1", "type s, commit of 1 block", None, ""),
    ("commit/pmem:0/blocks:64", "type s, commit of 64 blocks, each", None, ""),
    ("commit/pmem:0/blocks:65536/iterations:10", "type s, commit of 65536 blocks, each", None, ""),
)


def medians(program, rounds):
    """{benchmark: ns of one item}."""
    done = subprocess.run([program, f"--benchmark_repetitions={rounds}", "--benchmark_min_time=0.1", "--benchmark_format=json",
                           "--benchmark_filter=^(bare|write|read_random|commit)"],
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    found = {}
    for entry in json.loads(done.stdout)["benchmarks"]:
        if entry["run_type"] == "iteration":
            # Items a second are counted in processor time.
            found.setdefault(entry["run_name"], []).append(1e9 / entry["items_per_second"])
    return {name.split("/repeats:")[0]: statistics.median(times) for name, times in found.items()}


def main():
    rounds = sys.argv[2] if len(sys.argv) > 2 else "5"
    ns = medians(sys.argv[1], rounds)
    print(f"| in-process, without transport | ns (median of {rounds}) | per second | limit in the same run | ratio | goal |")
    print("|---|---|---|---|---|---|")
    for name, title, limit, goal in ROWS:
        limit_text = f"{limit.replace('_', ' ')}: {ns[limit]:.0f} ns" if limit else ""
        ratio = f"{ns[name] / ns[limit]:.2f}" if limit else ""
        print(f"| {title} | {ns[name]:.0f} | {1e9 / ns[name]:.0f} | {limit_text} | {ratio} | {goal} |")


if __name__ == "__main__":
    main()
