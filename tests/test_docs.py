#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""test_docs.py - the documentation says what the program does. TAP on stdout.

The command is $GODWIT and the README's C program $EMBED, examples/spaces.c $SPACES, own_scenario.c $OWN_SCENARIO; run in the
root of the tree.
"""
import json
import os
import re
import subprocess
import sys

GODWIT, EMBED, SPACES, OWN_SCENARIO = (
    os.environ[name] for name in ("GODWIT", "EMBED", "SPACES", "OWN_SCENARIO"))
SNAPSHOT = "data/anon-settled.before.tar.zst"
PAGES = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", "data/README.md"] + [
    "docs/" + name for name in sorted(os.listdir("docs")) if name.endswith(".md")]


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def run(*command):
    env = {k: v for k, v in os.environ.items() if k != "COLUMNS"}
    return subprocess.run(command, stdout=subprocess.PIPE, check=False, env=env, text=True,
                          errors="replace").stdout


def fenced(page, language):
    return re.findall(r"^```%s\n(.*?)^```$" % language, read(page), re.M | re.S)


def members(value):
    """Names of members, wherever they stand; not those that are data: the kinds of page."""
    if isinstance(value, list):
        return set().union(*map(members, value)) if value else set()
    if not isinstance(value, dict):
        return set()
    names = set(value)
    for name, inner in value.items():
        names |= members(list(inner.values()) if name == "blockers" else inner)
    return names


def is_excerpt(shown, printed):
    """Whether `shown` is `printed`, but for any number of lines at each [...]."""
    if not shown:
        return not printed
    if shown[0] == "[...]":
        return any(is_excerpt(shown[1:], printed[i:]) for i in range(len(printed) + 1))
    return bool(printed) and shown[0].rstrip() == printed[0].rstrip() and \
        is_excerpt(shown[1:], printed[1:])


def verbs():
    return re.findall(r"^  ([a-z]+)  ", run(GODWIT, "--help"), re.M)


def options(text):
    return set(re.findall(r"--[a-z][a-z-]+", text))


# Each returns what is wrong: empty if nothing is.

def readme_shows_the_example():
    """The README's C program is examples/embed.c, below its licence line."""
    source = read("examples/embed.c").split("\n", 1)[1]
    return [] if source in fenced("README.md", "c") else ["the blocks of C differ from it"]


def readme_example_prints_what_it_says():
    """It runs, and prints what the README says."""
    printed = run(EMBED)
    shown = [s for s in fenced("README.md", "text") if s.startswith("before:")]
    return [] if shown == [printed] else [printed]


def example_of_address_spaces_loses_nothing():
    """examples/spaces.c compacts under two address spaces: huge pages come, no page is lost."""
    printed = run(SPACES)
    found = re.match(r"huge pages free: (\d+), compacted: (\d+); pages lost: (\d+)\n", printed)
    moved = re.search(r"^pgmigrate_success (\d+)$", printed, re.M)
    good = found and moved and int(found[2]) > int(found[1]) + 8 and int(found[3]) == 0
    return [] if good and int(moved[1]) > 0 else [printed]


def embedding_shows_the_example():
    """docs/embedding.md's C program is examples/spaces.c, below its licence line; what it prints."""
    source = read("examples/spaces.c").split("\n", 1)[1]
    shown = fenced("docs/embedding.md", "text")[0].splitlines()
    wrong = [] if source in fenced("docs/embedding.md", "c") else ["the block of C differs"]
    return wrong + ([] if is_excerpt(shown, run(SPACES).splitlines()) else ["prints otherwise"])


def example_of_a_scenario_is_exhausted():
    """examples/own_scenario.c finds nothing, in every interleaving; docs/explorer.md shows it."""
    printed = run(OWN_SCENARIO)
    source = read("examples/own_scenario.c")
    return [] if "nothing found; exhausted: every interleaving" in printed and \
        fenced("docs/explorer.md", "c")[0] in source else [printed]


def readme_pictures_are_runs():
    """A run shown in the README is what that run prints, in 80 columns, but for lines at [...]."""
    runs = [b.splitlines() for b in fenced("README.md", "text") if b.startswith("$ godwit ")]
    return ["%s: not so" % command for command, *lines in runs
            if max(map(len, lines)) > 80
            or not is_excerpt(lines, run(GODWIT, *command.split()[2:]).splitlines())
            ] if runs else ["no run is shown"]


def every_verb_is_described():
    """README and manual page have an example or a paragraph for each verb."""
    readme, man = read("README.md"), read("docs/man/godwit.1.scd")
    return [v for v in verbs() if "godwit %s " % v not in readme or "*godwit %s*" % v not in man]


def manual_has_every_option():
    """The manual page has exactly the options that the verbs' own help has."""
    helps = set().union(*(options(run(GODWIT, v, "--help")) for v in verbs())) | {"--version"}
    return sorted(helps ^ options(read("docs/man/godwit.1.scd").replace("\\", "")))


def json_members_are_documented():
    """docs/json.md names every member of what the verbs print."""
    documented = set(re.findall(r"`([a-z_]+)(?:\[\])?`", read("docs/json.md")))
    wrong = []
    for command in (["frag", "--snapshot", SNAPSHOT], ["bench", "--filter", "page-lock"],
                    ["plan", "--snapshot", SNAPSHOT],
                    ["plan", "--snapshot", SNAPSHOT, "--offline", "memory100"],
                    ["plan", "--snapshot", SNAPSHOT, "--gigantic", "99"],
                    ["check", "--list"],
                    ["check", "put-and-wait", "--without", "put-and-wait"],
                    ["check", "put-and-wait", "--table"],
                    ["check", "faulters", "--measure", "--budget", "10"]):
        printed = json.loads(run(GODWIT, *command, "--json"))
        wrong += sorted("%s: %s" % (command[0], name) for name in members(printed) - documented)
    return wrong


def rows_name_tests():
    """docs/rows.md names tests that are there, in the files that it says."""
    wrong = []
    for cell in re.findall(r"`(test_\w+\.c)`: ([\w, ]+)", read("docs/rows.md")):
        source = read("tests/" + cell[0])
        wrong += ["%s: %s" % (cell[0], name) for name in re.split(", *", cell[1].strip(", "))
                  if not re.search(r"^%s\(" % name, source, re.M)]
    return wrong


def links_lead_somewhere():
    """Relative links in the documentation name files that are there."""
    return ["%s: %s" % (page, link) for page in PAGES
            for link in re.findall(r"\]\((?!https?:)([^)#]+)", read(page))
            if not os.path.exists(os.path.join(os.path.dirname(page), link))]


def main():
    tests = [readme_shows_the_example, readme_example_prints_what_it_says,
             example_of_address_spaces_loses_nothing, embedding_shows_the_example,
             example_of_a_scenario_is_exhausted, readme_pictures_are_runs,
             every_verb_is_described, manual_has_every_option, json_members_are_documented,
             rows_name_tests, links_lead_somewhere]
    failed = 0
    print("1..%d" % len(tests))
    for number, test in enumerate(tests, 1):
        wrong = test()
        failed += bool(wrong)
        print("%sok %d - %s" % ("not " if wrong else "", number, test.__name__))
        for line in wrong:
            print("#", line.rstrip())
    return 1 if failed else 0


sys.exit(main())
