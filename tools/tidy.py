#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make tidy: the rules of the house, as a test.

    tidy.py [--no-compile]

A folder of src/ includes only folders on lower floors, and folders on one floor are blind to each other; files and functions keep to
their sizes; banned calls, machine paths and open ends are refused; every header compiles alone; every file says what it is. Prints one
line per offence, `file:line: what`, and `N rules, N files, N offences` last; exit 1 if there is one. Functions over the limit stand in
tidy-exceptions.txt, beside this file, with the reason; an exception that is no longer needed is an offence too.
"""
import concurrent.futures
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
FLOORS = {"base": 0, "column": 1, "json": 2, "sketch": 2, "cql": 2, "expr": 3, "plan": 4, "sql": 5, "exec": 5, "connector": 5, "stream": 6, "web": 7,
          "spark": 7, "cli": 8}
FILE_LINES_MAX, FILE_LINES_WARN, FUNCTION_LINES_MAX = 1200, 800, 70
BANNED = "strcpy strcat sprintf vsprintf strtok gets atoi atol atof gmtime localtime asctime ctime setjmp longjmp strncat".split()
EXITS = re.compile(r"(?<![\w>.])(exit|_exit|quick_exit|siglongjmp)\s*\(")
OPEN_END = re.compile(r"\b(TO" r"DO|FIX" r"ME|X" r"XX|HA" r"CK)\b")
MACHINE_PATH = re.compile(r"(?<![\w.])/(work|home|root|Users)/\w")
TEXT_ENDINGS = (".c", ".h", ".def", ".py", ".sh", ".sql", ".test", ".md", ".txt", "Makefile", "run")
offences, warnings = [], []


def offence(path, line, what):
    offences.append(f"{path}:{line}: {what}")


def list_files():
    try:
        out = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "-z"], cwd=ROOT, capture_output=True, check=True).stdout.decode()
        names = [n for n in out.split("\0") if n and os.path.isfile(os.path.join(ROOT, n))]
    except (OSError, subprocess.CalledProcessError):
        names = []
        for folder, folders, files in os.walk(ROOT):
            folders[:] = [f for f in folders if f not in (".git", "build", "cache", "deps", "leat-data", "__pycache__", "node_modules")]
            names += [os.path.relpath(os.path.join(folder, f), ROOT) for f in files]
    return sorted(set(names))


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8", errors="replace") as f:
        return f.read()


def without_comments(text):
    """The text with comments and the insides of literals blanked, lines kept."""
    pattern = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)

    def blank(m):
        s = m.group(0)
        return s[0] + re.sub(r"[^\n]", " ", s[1:-1]) + s[-1] if s[0] in "\"'" else re.sub(r"[^\n]", " ", s)
    return pattern.sub(blank, text)


def unit_of(path):
    """(floor's folder, system): connector/sqlite is a system of its own."""
    parts = path.split("/")
    return parts[0], parts[1] if parts[0] == "connector" and len(parts) > 2 else ""


def check_floors(path, text):
    inside = path[len("src/"):]
    if "/" not in inside:
        return
    folder, system = unit_of(inside)
    if folder not in FLOORS:
        offence(path, 1, f"the folder src/{folder} has no floor (tools/tidy.py)")
        return
    for number, line in enumerate(text.split("\n"), 1):
        m = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
        if not m:
            continue
        if not os.path.isfile(os.path.join(ROOT, "src", m.group(1))):
            if "/" in m.group(1) or not os.path.isfile(os.path.join(ROOT, os.path.dirname(path), m.group(1))):
                offence(path, number, f'"{m.group(1)}" is neither below src/ nor beside the file')
            continue
        other, other_system = unit_of(m.group(1))
        if other not in FLOORS:
            continue
        same = other == folder and (system == other_system or not system or not other_system)
        if not same and FLOORS[other] >= FLOORS[folder]:
            offence(path, number, f'{folder}/{system} (floor {FLOORS[folder]}) must not see "{m.group(1)}" (floor {FLOORS[other]})')


def functions_of(text):
    """(name, first line, line count) of every function: it begins and ends in the first column."""
    lines = text.split("\n")
    begin = None
    for i, line in enumerate(lines):
        if begin is None:
            if line[:1].isalpha() or line[:1] == "_":
                begin = i
            else:
                continue
        if line.rstrip().endswith("{"):
            head = " ".join(lines[begin:i + 1])
            m = re.search(r"(\w+)\s*\([^=]*\)[^=;]*\{\s*$", head)
            if m and not head.startswith(("typedef", "enum {", "extern \"C\"")):
                end = next((k for k in range(i, len(lines)) if lines[k].startswith("}")), None)
                if end is not None:
                    yield m.group(1), begin + 1, end - begin + 1
            begin = None
        elif line.rstrip().endswith((";", "}", ":")) or not line.strip() or line.startswith("#"):
            begin = None


def read_exceptions():
    exceptions = {}
    path = "tools/tidy-exceptions.txt"
    if os.path.isfile(os.path.join(ROOT, path)):
        for number, line in enumerate(read(path).split("\n"), 1):
            if not line.strip() or line.startswith("#"):
                continue
            parts = line.split(None, 1)
            if len(parts) < 2 or ":" not in parts[0]:
                offence(path, number, "not `file:function  reason`")
                continue
            exceptions[parts[0]] = number
    return exceptions


def check_sizes(path, text, exceptions, used):
    count = text.count("\n")
    if count > FILE_LINES_MAX:
        offence(path, count, f"{count} lines; the limit is {FILE_LINES_MAX}")
    elif count > FILE_LINES_WARN:
        warnings.append(f"{path}:{count}: warning: {count} lines; split it by idea before {FILE_LINES_MAX}")
    for name, line, length in functions_of(text):
        if length <= FUNCTION_LINES_MAX:
            continue
        key = f"{path}:{name}"
        used.add(key)
        if key not in exceptions:
            offence(path, line, f"{name} has {length} lines; the limit is {FUNCTION_LINES_MAX}")


def check_calls(path, text):
    banned = re.compile(r"(?<![\w>.])(" + "|".join(BANNED) + r")\s*\(")
    for number, line in enumerate(text.split("\n"), 1):
        m = banned.search(line)
        if m:
            offence(path, number, f"{m.group(1)} is banned")
        m = EXITS.search(line)
        if m and not path.startswith(("src/cli/", "src/base/failpoint.c")):
            offence(path, number, f"{m.group(1)} below cli/")


def check_head(path, text):
    lines = text.split("\n")
    at = 1 if lines[0].startswith("#!") else 0
    if "SPDX-License-Identifier: Apache-2.0" not in (lines[at] if at < len(lines) else ""):
        offence(path, at + 1, "no SPDX line")
        return
    if path.endswith((".c", ".h", ".def")):
        head = [line for line in lines[1:4] if line.startswith("//")]
        if len(head) < 1:
            offence(path, 2, "the file does not say what it is")
        if path.startswith("src/") and path.endswith(".h") and "#pragma once" not in text and "_template" not in path:
            offence(path, 1, "no #pragma once")


def check_text(path, text):
    for number, line in enumerate(text.split("\n"), 1):
        if OPEN_END.search(line):
            offence(path, number, "an open end (finish it, or say what is refused)")
        if MACHINE_PATH.search(line):
            offence(path, number, "a path of somebody's machine")
        if line.endswith((" ", "\t")) and not path.endswith((".test", ".md")):
            offence(path, number, "blanks at the end of the line")


def check_readmes(names):
    for folder in sorted({n.split("/")[1] for n in names if n.startswith("src/") and n.count("/") > 1}):
        path = f"src/{folder}/README.md"
        if path not in names:
            offence(path, 1, "missing: a folder says what it is for")
        elif read(path).count("\n") > 40:
            offence(path, 41, "over 40 lines")


def compiles_alone(path):
    command = [os.environ.get("CC", "gcc"), "-std=gnu11", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-Isrc", "-D_GNU_SOURCE",
               "-DPCRE2_CODE_UNIT_WIDTH=8", "-DLEAT_VERSION=\"0\"", "-x", "c", "-include", path, os.devnull]
    out = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return path, "" if out.returncode == 0 else next((line for line in out.stderr.split("\n") if "error" in line), "does not compile alone")


def main():
    names = list_files()
    exceptions, used = read_exceptions(), set()
    checked = 0
    for path in names:
        if not path.endswith(TEXT_ENDINGS) or path.startswith(("cache/", "build/")):
            continue
        text = read(path)
        checked += 1
        if not path.startswith("test/sql/"):
            check_text(path, text)
        if path.endswith((".c", ".h", ".def", ".py", ".sh", "Makefile")) or path == ".ci/run":
            check_head(path, text)
        if path.endswith((".c", ".h")):
            check_sizes(path, text, exceptions, used)
        if path.startswith("src/") and path.endswith((".c", ".h", ".def")):
            check_floors(path, text)
            if path != "src/base/banned.h":
                check_calls(path, without_comments(text))
    for key, number in exceptions.items():
        if key not in used:
            offence("tools/tidy-exceptions.txt", number, f"{key} is not over the limit any more")
    check_readmes(names)
    headers = [n for n in names if n.startswith("src/") and n.endswith(".h") and "_template" not in n and n != "src/base/banned.h"]
    if "--no-compile" not in sys.argv:
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count() or 2) as pool:
            for path, message in pool.map(compiles_alone, headers):
                if message:
                    offence(path, 1, f"not self-sufficient: {message}")
    for line in warnings:
        print(line, file=sys.stderr)
    for line in offences:
        print(line)
    print(f"{checked} files, {len(headers)} headers compiled alone, {len(offences)} offences")
    if checked < 20:
        print("tidy: hardly any file was found: that is no check", file=sys.stderr)
        return 1
    return 1 if offences else 0


if __name__ == "__main__":
    sys.exit(main())
