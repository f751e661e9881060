#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""embed.py PAGE OUTPUT - a page as C: its pieces between @MARKER@s, in the order of the page."""
import re
import sys

page, output = sys.argv[1:]
with open(page, encoding="utf-8") as f:
    pieces = re.split(r"@[A-Z]+@", f.read())


def array(text):
    data = text.encode() + b"\0"
    lines = (data[i : i + 16] for i in range(0, len(data), 16))
    return ",\n\t".join(", ".join(str(byte) for byte in line) for line in lines)


with open(output, "w", encoding="utf-8") as f:
    f.write("/* SPDX-License-Identifier: MIT */\n")
    for i, piece in enumerate(pieces):
        f.write(f"static const char piece{i}[] = {{\n\t{array(piece)}}};\n")
    names = ", ".join(f"piece{i}" for i in range(len(pieces)))
    f.write("extern const char *const gw_html_pieces[];\n")
    f.write(f"const char *const gw_html_pieces[] = {{{names}}};\n")
