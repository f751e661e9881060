#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""tap_count.py TESTLOG - count the tests in a testlog.json that `meson test` wrote.

Prints "PASSED FAILED SKIPPED" and, on standard error, a line for every failure. Counted is
what the programs said, line by line in TAP; what they did not say counts against them:

  T1  a test that was planned and never reported has failed; the program's status says how it died
      (negative: by that signal)
  T2  a program that reports no failure but ends with an error has one failure more
      (a sanitizer's finding at exit, a timeout)
  T3  a program that reports nothing at all has failed
"""
import json
import re
import sys

PLAN = re.compile(r"1\.\.(\d+)")
RESULT = re.compile(r"(not )?ok\s+\d+[\s-]*(.*)")
SKIP = re.compile(r"#\s*skip", re.IGNORECASE)


def count_program(run):
    """(passed, skipped, reasons of failure) of one test program."""
    passed = skipped = planned = 0
    failures = []
    for line in run.get("stdout", "").splitlines():
        plan = PLAN.match(line)
        result = RESULT.match(line)
        if plan:
            planned += int(plan.group(1))
        elif result and SKIP.search(line):
            skipped += 1
        elif result and result.group(1):
            failures.append(result.group(2))
        elif result:
            passed += 1

    reported = passed + skipped + len(failures)
    status = f"{run['result'].lower()}, status {run.get('returncode')}"
    failures += [f"planned, never reported: {status}"] * (planned - reported)
    if run["result"] in ("FAIL", "ERROR", "TIMEOUT", "INTERRUPT") and not failures:
        failures.append(f"ended with {status}")
    elif reported == 0 and planned == 0:
        failures.append("reported nothing")
    return passed, skipped, failures


def main():
    passed = failed = skipped = 0
    with open(sys.argv[1], encoding="utf-8") as log:
        for line in log:
            run = json.loads(line)
            ok, skip, failures = count_program(run)
            passed, skipped, failed = passed + ok, skipped + skip, failed + len(failures)
            for reason in failures:
                print(f"{run['name'].split(' / ')[-1]}: {reason}", file=sys.stderr)
    print(passed, failed, skipped)


main()
