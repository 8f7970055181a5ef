# SPDX-License-Identifier: Apache-2.0
"""Streaming cases: what a case file says (README.md), its golden answer, and the input files both engines are given.

A case is read whole and checked; a directive or a line that is not understood is an error with file and line, never passed over.
"""
import json
import os
import re

HERE = os.path.dirname(os.path.abspath(__file__))
FOLDER = os.path.join(HERE, "cases")
WAYS = ("steps", "once", "whole")
MODES = ("append", "update", "complete")
FIRST_FILE_TIME = 1704067200  # 2024-01-01; each step's files are a minute younger: both engines take files by their time
STREAMED = re.compile(r"\bSTREAM\s*(?:\(\s*(\w+)\s*\)|(\w+))")


class Case:
    """One question: tables, what arrives in them step by step, a query, and an output mode.

    tables      name → columns as DDL, streamed            statics   name → (columns, lines), read whole
    statements  run before the query (views)               query     Spark's text; leat_query: leat's
    steps       [{table: [line]}]                          ways      which of steps, once, whole are asked
    key         columns of the key (mode update)           late      rows in leat_late after `steps`, or None: not said
    leat_rows   way → rows where leat is to differ         leat_error  condition where leat is to refuse
    """

    def __init__(self, name):
        self.name, self.about, self.mode, self.key = name, "", None, []
        self.tables, self.statics, self.statements, self.steps = {}, {}, [], []
        self.query = self.leat_query = self.leat_error = self.late = None
        self.ways, self.leat_rows, self.settings = list(WAYS), {}, []

    def streams(self):
        """How many watermarks the query has: with more than one Spark must not be restarted, it forgets each one's maximum."""
        return len(re.findall(r"\bWATERMARK\b", " ".join(self.statements + [self.query])))

    def table_for_leat(self, name, files_per_trigger):
        ddl = self.tables[name] if name in self.tables else self.statics[name][0]
        more = f", maxFilesPerTrigger '{files_per_trigger}'" if name in self.tables else ""
        return f"CREATE TABLE {name} ({ddl}) USING json OPTIONS (path 'in/{name}'{more});"

    def text_for_leat(self, files_per_trigger):
        """The pipeline file. A materialized view reads its tables without STREAM."""
        query = self.leat_query or (self.query if self.mode == "append" else STREAMED.sub(lambda m: m.group(1) or m.group(2), self.query))
        statements = self.statements
        if self.mode != "append":
            statements = [STREAMED.sub(lambda m: m.group(1) or m.group(2), s) for s in statements]
        lines = [f"SET {s};" for s in self.settings]
        lines += [self.table_for_leat(name, files_per_trigger) for name in [*self.tables, *self.statics]]
        lines += [s + ";" for s in statements]
        lines.append(f"CREATE {'STREAMING TABLE' if self.mode == 'append' else 'MATERIALIZED VIEW'} result AS\n{query};")
        return "\n".join(lines) + "\n"


def fail(path, number, what):
    raise SystemExit(f"{path}:{number}: {what}")


def split_blocks(path, text):
    """(line number, directive, its words, body) of each block; comment lines are left out."""
    number, block = 1, []
    for line in text.split("\n") + [""]:
        if line.strip():
            if not line.startswith("#"):
                block.append((number, line.rstrip()))
        elif block:
            first, head = block[0]
            word, _, words = head.partition(" ")
            yield first, word, words.strip(), [body for _, body in block[1:]]
            block = []
        number += 1


def read_step(case, path, number, body):
    step = {}
    for line in body:
        m = re.match(r"(?:(\w+) )?(\{.*\})$", line)
        table = m and (m.group(1) or (next(iter(case.tables)) if len(case.tables) == 1 else None))
        if not table or table not in case.tables:
            fail(path, number, f"a line of a step is `TABLE {{json}}`, or {{json}} where there is one table: {line}")
        json.loads(m.group(2))
        step.setdefault(table, []).append(m.group(2))
    case.steps.append(step)


def read_leat(case, path, number, words, body):
    """`leat query`, `leat error CONDITION`, `leat STEPS|ONCE|WHOLE` with rows: where leat's text or answer is meant to be another."""
    word, _, rest = words.partition(" ")
    if word == "query" and body:
        case.leat_query = "\n".join(body)
    elif word == "error" and rest:
        case.leat_error = rest.strip()
    elif word in WAYS:
        case.leat_rows[word] = [json.loads(line) for line in body]
    else:
        fail(path, number, f"`leat {words}` is not known")


def read_table(case, path, number, word, words, body):
    m = re.match(r"(\w+) \((.*)\)$", words)
    if not m:
        fail(path, number, f"`{word} NAME (columns)` is expected")
    if word == "table":
        case.tables[m.group(1)] = m.group(2)
    else:
        case.statics[m.group(1)] = (m.group(2), body)


def read_late(path, number, body):
    rows = []
    for line in body:
        m = re.match(r"(LATE|NULL_EVENT_TIME) (\{.*\})$", line)
        if not m:
            fail(path, number, f"a line of `late` is `LATE {{json}}` or `NULL_EVENT_TIME {{json}}`: {line}")
        rows.append((m.group(1), json.loads(m.group(2))))
    return rows


def read_block(case, path, number, word, words, body):
    if word in ("table", "static"):
        read_table(case, path, number, word, words, body)
    elif word == "mode" and words in MODES:
        case.mode = words
    elif word == "key":
        case.key = [w.strip() for w in words.split(",")]
    elif word == "set":
        case.settings.append(words)
    elif word == "ways":
        case.ways = words.split()
        if not case.ways or set(case.ways) - set(WAYS):
            fail(path, number, f"ways are {', '.join(WAYS)}")
    elif word == "statement":
        case.statements.append("\n".join(body))
    elif word == "query":
        case.query = "\n".join(body)
    elif word == "step":
        read_step(case, path, number, body)
    elif word == "late":
        case.late = read_late(path, number, body)
    elif word == "leat":
        read_leat(case, path, number, words, body)
    else:
        fail(path, number, f"`{word} {words}` is not known")


def read_case(path):
    case = Case(os.path.basename(path)[:-len(".case")])
    with open(path, encoding="utf-8") as f:
        text = f.read()
    head = text.split("\n", 1)[0]
    if not head.startswith(f"# {case.name}: "):
        fail(path, 1, f"the first line is `# {case.name}: what the case is about`")
    case.about = head.split(": ", 1)[1]
    for number, word, words, body in split_blocks(path, text):
        read_block(case, path, number, word, words, body)
    if not case.query or not case.mode or not case.tables or not case.steps:
        fail(path, 1, "a case has a table, a mode, a query and a step at least")
    if case.mode == "update" and not case.key:
        fail(path, 1, "`mode update` needs `key COLUMNS`: content is compared per key")
    return case


def read_cases(names):
    """All cases, or those named; a name that does not exist is an error."""
    have = sorted(n[:-len(".case")] for n in os.listdir(FOLDER) if n.endswith(".case"))
    unknown = set(names) - set(have)
    if unknown:
        raise SystemExit(f"no such case: {', '.join(sorted(unknown))}")
    return [read_case(os.path.join(FOLDER, n + ".case")) for n in have if not names or n in names]


def golden_path(name):
    return os.path.join(FOLDER, name + ".golden.json")


def read_golden(name):
    with open(golden_path(name), encoding="utf-8") as f:
        return json.load(f)


def write_lines(folder, name, lines, time):
    """A new file, whole at once, with a time of its own."""
    os.makedirs(folder, exist_ok=True)
    hidden, path = os.path.join(folder, "." + name), os.path.join(folder, name)
    with open(hidden, "w", encoding="utf-8") as f:
        f.write("".join(line + "\n" for line in lines))
    os.utime(hidden, (time, time))
    os.rename(hidden, path)


def write_statics(case, folder):
    for name in case.tables:
        os.makedirs(os.path.join(folder, name), exist_ok=True)
    for name, (_, lines) in case.statics.items():
        write_lines(os.path.join(folder, name), "0.json", lines, FIRST_FILE_TIME)


def write_step(case, folder, index):
    """The files of one step, one per table that has rows in it."""
    for table, lines in case.steps[index].items():
        write_lines(os.path.join(folder, table), f"{index + 1}.json", lines, FIRST_FILE_TIME + 60 * (index + 1))


def content_after(case, answer, step):
    """Spark's result after a step (or after all of them, for the ways that have one): rows, as lists of texts."""
    batches = [batch for s in answer["steps"][:step + 1] for batch in s["batches"]]
    if case.mode == "append":
        return [row for batch in batches for row in batch]
    if case.mode == "complete":
        return batches[-1] if batches else []
    at = [[c for c, _ in answer["columns"]].index(k) for k in case.key]
    latest = {}
    for batch in batches:
        for row in batch:
            latest[tuple(row[i] for i in at)] = row
    return list(latest.values())
