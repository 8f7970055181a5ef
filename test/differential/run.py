#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Random queries, answered by leat and by SQLite: the answers must be equal.

    run.py LEAT_BINARY [--seed N] [--queries N] [--pipelines N] [--keep FOLDER]

Two parts. Queries: random tables (NULLs, duplicates, four types) and random SELECTs over them: joins of every kind, grouping, HAVING, set
operations, subqueries, ORDER BY with LIMIT. Pipelines: materialized views over rows pushed in random cuts; after every push each view must
equal its query over all rows so far, for 1, 2 and 4 threads. Only what means the same in both dialects is generated: an expression is a
pair of texts. Both parts are golden files run by `leat test`, so that a difference can be kept as it is. One seed gives one run. Prints
last `N passed, N failed, 0 skipped`.
"""
import argparse
import collections
import json
import os
import random
import re
import sqlite3
import subprocess
import sys
import tempfile

FILE_QUERIES = 50
INT, REAL, TEXT, BOOL = "INT", "DOUBLE", "STRING", "BOOLEAN"
SQLITE_TYPES = {INT: "INTEGER", REAL: "REAL", TEXT: "TEXT", BOOL: "INTEGER"}
COLUMNS = (("a", INT), ("b", INT), ("d", REAL), ("s", TEXT), ("p", BOOL))
WORDS = ("x", "y", "ab", "abc", "B", "a longer string, not inline", "a longer string, not inlinf", "zz")

# An expression or relation in both dialects.
Both = collections.namedtuple("Both", "spark lite")
Column = collections.namedtuple("Column", "name type")


def both(text, *parts):
    """`text` with each part put in, dialect by dialect."""
    return Both(text.format(*[p.spark for p in parts]), text.format(*[p.lite for p in parts]))


def same(text):
    return Both(text, text)


class Expressions:
    """Random expressions of a wanted type over the columns in scope, given as (alias, Column)."""

    def __init__(self, chance, scope):
        self.chance, self.scope = chance, scope

    def make(self, wanted, depth=2):
        choices = [(alias, c) for alias, c in self.scope if c.type == wanted]
        if depth <= 0 or self.chance.random() < 0.35:
            if choices and self.chance.random() < 0.8:
                alias, column = self.chance.choice(choices)
                return same(f"{alias}.{column.name}")
            return self.literal(wanted)
        sub = lambda t: self.make(t, depth - 1)
        if self.chance.random() < 0.2:
            return both("CASE WHEN {} THEN {} WHEN {} THEN {} ELSE {} END", sub(BOOL), sub(wanted), sub(BOOL), sub(wanted), sub(wanted))
        if self.chance.random() < 0.15:
            return both("coalesce({}, {})", sub(wanted), sub(wanted))
        return getattr(self, "make_" + wanted.lower())(sub)

    def literal(self, wanted):
        if wanted == INT:
            return same(str(self.chance.randint(0, 6)))
        if wanted == REAL:
            value = self.chance.randint(0, 12) / 4
            return Both(f"{value}D", f"{value}")
        if wanted == TEXT:
            return same(f"'{self.chance.choice(WORDS)}'")
        return self.chance.choice((Both("true", "1"), Both("false", "0"), same("(1 = 2)")))

    def make_int(self, sub):
        pick = self.chance.randrange(7)
        if pick < 2:
            return both("({} " + self.chance.choice("+-") + " {})", sub(INT), sub(INT))
        if pick == 2:
            return both("({} * {})", sub(INT), self.literal(INT))
        if pick == 3:
            return both("abs({})", sub(INT))
        if pick == 4:
            x, y = sub(INT), self.chance.randint(1, 5)
            return Both(f"CAST({x.spark} div {y} AS INT)", f"({x.lite} / {y})")
        if pick == 5:
            return both("({} % nullif({}, 0))", sub(INT), sub(INT))
        return both("length({})", sub(TEXT))

    def make_double(self, sub):
        pick = self.chance.randrange(3)
        if pick == 0:
            return both("({} " + self.chance.choice("+-") + " {})", sub(REAL), sub(REAL))
        if pick == 1:
            return both("abs({})", sub(REAL))
        return both("({} + {})", sub(REAL), sub(INT))

    def make_string(self, sub):
        pick = self.chance.randrange(4)
        if pick == 0:
            return both("({} || {})", sub(TEXT), sub(TEXT))
        if pick == 1:
            return both("upper({})", sub(TEXT))
        if pick == 2:
            return both("substr({}, " + f"{self.chance.randint(1, 3)}, {self.chance.randint(0, 14)})", sub(TEXT))
        return both("nullif({}, {})", sub(TEXT), sub(TEXT))

    def make_boolean(self, sub):
        pick = self.chance.randrange(9)
        kind = self.chance.choice((INT, INT, REAL, TEXT))
        if pick < 3:
            return both("({} " + self.chance.choice(("=", "<>", "<", "<=", ">", ">=")) + " {})", sub(kind), sub(kind))
        if pick == 3:
            return both("({} IS " + self.chance.choice(("", "NOT ")) + "NULL)", sub(kind))
        if pick == 4:
            x, y = sub(kind), sub(kind)
            return Both(f"({x.spark} <=> {y.spark})", f"({x.lite} IS NOT DISTINCT FROM {y.lite})")
        if pick == 5:
            return both("({} AND {})", sub(BOOL), sub(BOOL))
        if pick == 6:
            return both("({} OR {})", sub(BOOL), sub(BOOL))
        if pick == 7:
            return both("(NOT {})", sub(BOOL))
        items = ", ".join(["{}"] * self.chance.randint(1, 4))
        return both("({} " + self.chance.choice(("", "NOT ")) + "IN (" + items + "))", sub(kind), *[self.literal(kind) for _ in range(items.count("{"))])

    def aggregate(self):
        """(call, type)"""
        pick = self.chance.randrange(9)
        distinct = self.chance.choice(("", "", "DISTINCT "))
        kind = self.chance.choice((INT, REAL, TEXT))
        number = self.chance.choice((INT, REAL))
        if pick == 0:
            call, result = same("count(*)"), INT
        elif pick < 3:
            call, result = both(f"count({distinct}{{}})", self.make(kind, 1)), INT
        elif pick < 5:
            call, result = both(f"sum({distinct}{{}})", self.make(number, 1)), number
        elif pick < 7:
            call, result = both(self.chance.choice(("min", "max")) + "({})", self.make(kind, 1)), kind
        else:
            call, result = both(f"avg({distinct}{{}})", self.make(number, 1)), REAL
        if self.chance.random() < 0.25:
            call = both("{} FILTER (WHERE {})", call, self.make(BOOL, 1))
        return call, result


class Relation:
    """A FROM clause or a whole query: text in both dialects and the columns it gives."""

    def __init__(self, text, columns):
        self.text, self.columns = text, columns


class Queries:
    def __init__(self, chance, tables):
        self.chance, self.tables, self.aliases = chance, tables, 0

    def alias(self):
        self.aliases += 1
        return f"q{self.aliases}"

    def source(self, depth):
        """(text with alias, alias, columns)"""
        alias = self.alias()
        if depth > 0 and self.chance.random() < 0.3:
            inner = self.select(depth - 1)
            return both("({}) AS " + alias, inner.text), alias, inner.columns
        return same(f"{self.chance.choice(self.tables)} AS {alias}"), alias, [Column(*c) for c in COLUMNS]

    def condition(self, left, right):
        scope = [(a, c) for a, columns in (left, right) for c in columns]
        pairs = [(l, r) for l in left[1] for r in right[1] if l.type == r.type]
        parts = []
        if pairs and self.chance.random() < 0.85:
            for l, r in self.chance.sample(pairs, min(len(pairs), self.chance.choice((1, 1, 2)))):
                parts.append(same(f"{left[0]}.{l.name} = {right[0]}.{r.name}"))
        if not parts or self.chance.random() < 0.4:
            parts.append(Expressions(self.chance, scope).make(BOOL, 2))
        text = parts[0]
        for p in parts[1:]:
            text = both("{} AND {}", text, p)
        return text

    def from_clause(self, depth):
        """(text, scope, extra WHERE conditions of the SQLite text and of none in Spark's)"""
        text, alias, columns = self.source(depth)
        scope, only_lite = [(alias, c) for c in columns], []
        if self.chance.random() < 0.45:
            kind = self.chance.choice(("JOIN", "LEFT JOIN", "RIGHT JOIN", "FULL JOIN", "SEMI", "ANTI", "CROSS JOIN"))
            other, name, more = self.source(depth - 1)
            if kind == "CROSS JOIN":
                return both("{} CROSS JOIN {}", text, other), scope + [(name, c) for c in more], only_lite
            on = self.condition((alias, columns), (name, more))
            if kind in ("SEMI", "ANTI"):
                only_lite.append(f"{'NOT ' if kind == 'ANTI' else ''}EXISTS (SELECT 1 FROM {other.lite} WHERE {on.lite})")
                return Both(f"{text.spark} LEFT {kind} JOIN {other.spark} ON {on.spark}", text.lite), scope, only_lite
            return both("{} " + kind + " {} ON {}", text, other, on), scope + [(name, c) for c in more], only_lite
        return text, scope, only_lite

    def subquery_condition(self, scope):
        alias, table = self.alias(), self.chance.choice(self.tables)
        outer, column = self.chance.choice([(a, c) for a, c in scope if c.type in (INT, TEXT)] or [(None, None)])
        if outer is None:
            return None
        inner = self.chance.choice([n for n, t in COLUMNS if t == column.type])
        where = Expressions(self.chance, [(alias, Column(*c)) for c in COLUMNS]).make(BOOL, 1)
        pick = self.chance.randrange(3)
        no = self.chance.choice(("", "NOT "))
        if pick == 0:
            return both(f"{outer}.{column.name} {no}IN (SELECT {alias}.{inner} FROM {table} AS {alias} WHERE {{}})", where)
        if pick == 1:
            return both(f"{no}EXISTS (SELECT 1 FROM {table} AS {alias} WHERE {alias}.{inner} = {outer}.{column.name} AND {{}})", where)
        if column.type != INT:
            return None
        return both(f"{outer}.{column.name} < (SELECT max({alias}.a) FROM {table} AS {alias} WHERE {{}})", where)

    def where(self, scope, only_lite, subqueries):
        parts = []
        if self.chance.random() < 0.5:
            parts.append(Expressions(self.chance, scope).make(BOOL, 2))
        if subqueries and self.chance.random() < 0.25:
            condition = self.subquery_condition(scope)
            parts += [condition] if condition else []
        spark = " AND ".join(p.spark for p in parts)
        lite = " AND ".join([p.lite for p in parts] + only_lite)
        return Both(f" WHERE {spark}" if spark else "", f" WHERE {lite}" if lite else "")

    def select(self, depth=2, subqueries=True):
        text, scope, only_lite = self.from_clause(depth)
        where = self.where(scope, only_lite, subqueries)
        make = Expressions(self.chance, scope)
        pick = self.chance.random()
        if pick < 0.4:
            keys = [(make.make(kind, 1), kind) for kind in self.chance.sample((INT, TEXT, REAL, BOOL), self.chance.choice((0, 1, 1, 2)))]
            keys = [(k, t) for k, t in keys if "." in k.spark and re.search(r"q\d+\.", k.spark)]  # a constant is no key in one of the two
            items = keys + [make.aggregate() for _ in range(self.chance.randint(1, 3))]
            tail = Both(" GROUP BY " + ", ".join(k.spark for k, _ in keys), " GROUP BY " + ", ".join(k.lite for k, _ in keys)) if keys else same("")
            if keys and self.chance.random() < 0.3:
                call, kind = make.aggregate()
                other = make.literal(kind)
                tail = both("{} HAVING {} " + self.chance.choice((">", "<=", "<>")) + " {}", tail, call, other)
            head = "SELECT "
        else:
            items = [(make.make(kind, 2), kind) for kind in self.chance.choices((INT, REAL, TEXT, BOOL), k=self.chance.randint(1, 4))]
            head, tail = ("SELECT DISTINCT " if pick < 0.55 else "SELECT "), same("")
        columns = [Column(f"c{i}", kind) for i, (_, kind) in enumerate(items)]
        spark = head + ", ".join(f"{x.spark} AS c{i}" for i, (x, _) in enumerate(items)) + f" FROM {text.spark}{where.spark}{tail.spark}"
        lite = head + ", ".join(f"{x.lite} AS c{i}" for i, (x, _) in enumerate(items)) + f" FROM {text.lite}{where.lite}{tail.lite}"
        return Relation(Both(spark, lite), columns)

    def ordered(self, relation):
        """All columns are sort keys, so that no tie is left to chance."""
        order = list(range(len(relation.columns)))
        self.chance.shuffle(order)
        keys = ", ".join(f"c{i}{self.chance.choice((' ASC', ' DESC'))} NULLS {self.chance.choice(('FIRST', 'LAST'))}" for i in order)
        limit = self.chance.choice(("", f" LIMIT {self.chance.randint(0, 12)}", f" LIMIT {self.chance.randint(1, 9)} OFFSET {self.chance.randint(0, 6)}"))
        return Relation(both("SELECT * FROM ({}) AS o ORDER BY " + keys + limit, relation.text), relation.columns)


def cell(value, kind):
    if value is None:
        return "NULL"
    if kind == BOOL:
        return "true" if value else "false"
    if kind == REAL:
        return repr(float(value) + 0.0)
    text = str(value)
    if kind == TEXT and (not text or text != text.strip()):
        return f'"{text}"'
    return text


def lines(rows, columns):
    return [" | ".join(cell(v, c.type) for v, c in zip(row, columns)) for row in rows]


def random_row(chance):
    null = lambda value: None if chance.random() < 0.2 else value
    return (null(chance.randint(-3, 8)), null(chance.randint(0, 3)), null(chance.randint(-8, 20) / 4), null(chance.choice(WORDS)), null(chance.choice((True, False))))


def literal_row(row):
    out = [f"CAST({'NULL' if v is None else v} AS {t})" if t != TEXT else ("CAST(NULL AS STRING)" if v is None else f"'{v}'") for v, (_, t) in zip(row, COLUMNS)]
    return "(" + ", ".join(out) + ")"


def database(names):
    lite = sqlite3.connect(":memory:")
    lite.execute("PRAGMA case_sensitive_like = ON")
    for name in names:
        lite.execute(f"CREATE TABLE {name} (" + ", ".join(f"{n} {SQLITE_TYPES[t]}" for n, t in COLUMNS) + ")")
    return lite


def fill(lite, name, rows):
    lite.executemany(f"INSERT INTO {name} VALUES ({', '.join('?' * len(COLUMNS))})", rows)


def set_operation(chance, queries, lite):
    """(Spark's text, columns, rows); SQLite has no ALL for two of them: the rows are counted here."""
    kinds = [chance.choice((INT, REAL, TEXT)) for _ in range(chance.randint(1, 2))]
    sides = []
    for _ in range(2):
        text, scope, only_lite = queries.from_clause(0)
        where = queries.where(scope, only_lite, False)
        items = [Expressions(chance, scope).make(k, 1) for k in kinds]
        spark = "SELECT " + ", ".join(f"{x.spark} AS c{i}" for i, x in enumerate(items)) + f" FROM {text.spark}{where.spark}"
        rows = lite.execute("SELECT " + ", ".join(x.lite for x in items) + f" FROM {text.lite}{where.lite}").fetchall()
        sides.append((spark, collections.Counter(rows)))
    operation, every = chance.choice(("UNION", "EXCEPT", "INTERSECT")), chance.choice(("", " ALL"))
    left, right = sides[0][1], sides[1][1]
    if operation == "UNION":
        out = left + right if every else collections.Counter(set(left) | set(right))
    elif operation == "EXCEPT":
        out = left - right if every else collections.Counter(set(left) - set(right))
    else:
        out = left & right if every else collections.Counter(set(left) & set(right))
    columns = [Column(f"c{i}", k) for i, k in enumerate(kinds)]
    return f"{sides[0][0]} {operation}{every} {sides[1][0]}", columns, list(out.elements())


def query_file(chance, path, count):
    names = ["t0", "t1", "t2"]
    lite = database(names)
    text = [f"# {os.path.basename(path)}: random queries"]
    for name in names:
        rows = [random_row(chance) for _ in range(chance.choice((1, 6, 14, 30)))]
        fill(lite, name, rows)
        text.append(f"statement\nCREATE TEMPORARY VIEW {name} AS SELECT * FROM VALUES {', '.join(map(literal_row, rows))} AS v({', '.join(n for n, _ in COLUMNS)})")
    queries, done = Queries(chance, names), 0
    while done < count:
        ordered = chance.random() < 0.3
        if chance.random() < 0.15:
            spark, columns, rows = set_operation(chance, queries, lite)
            ordered = False
        else:
            relation = queries.select()
            relation = queries.ordered(relation) if ordered else relation
            spark, columns = relation.text.spark, relation.columns
            try:
                rows = lite.execute(relation.text.lite).fetchall()
            except sqlite3.OperationalError:  # a key that it folds to a number is taken for a place
                continue
        if len(rows) > 2000:
            continue
        answer = lines(rows, columns)
        text.append(f"query\n{spark}")
        text.append("\n".join([f"expect{' ordered' if ordered else ''}"] + (answer if ordered else sorted(answer))))
        done += 1
    with open(path, "w", encoding="utf-8") as f:
        f.write("\n\n".join(text) + "\n")


def pipeline_file(chance, path, views=5, pushes=6):
    """Views over two pushed tables and their union."""
    names = ["e0", "e1"]
    lite = database(names)
    text = [f"# {os.path.basename(path)}: random pipelines"]
    columns = ", ".join(f"{n} {t}" for n, t in COLUMNS)
    text += [f"statement\nCREATE TABLE {n} ({columns}) USING memory" for n in names]
    made = []
    for i in range(views):
        relation = StreamQueries(chance, names).view()
        lite.execute(f"CREATE VIEW m{i} AS {relation.text.lite}")
        text.append(f"statement\nCREATE MATERIALIZED VIEW m{i} AS {relation.text.spark}")
        made.append((f"m{i}", relation.columns))
    for _ in range(pushes):
        name = chance.choice(names)
        rows = [random_row(chance) for _ in range(chance.choice((1, 1, 3, 9, 40)))]
        fill(lite, name, rows)
        text.append("\n".join([f"push {name}"] + [json.dumps(dict(zip((n for n, _ in COLUMNS), r))) for r in rows]))
        for view, kinds in made:
            text.append("\n".join([f"expect {view}"] + sorted(lines(lite.execute(f"SELECT * FROM {view}").fetchall(), kinds))))
    with open(path, "w", encoding="utf-8") as f:
        f.write("\n\n".join(text) + "\n")


class StreamQueries(Queries):
    """Queries that can be kept up to date: no subqueries, no joins of two streams."""

    def source(self, depth):
        alias = self.alias()
        if self.chance.random() < 0.2:
            names = ", ".join(n for n, _ in COLUMNS)
            union = f"(SELECT {names} FROM {self.tables[0]} UNION ALL SELECT {names} FROM {self.tables[1]}) AS {alias}"
            return same(union), alias, [Column(*c) for c in COLUMNS]
        return same(f"{self.chance.choice(self.tables)} AS {alias}"), alias, [Column(*c) for c in COLUMNS]

    def from_clause(self, depth):
        text, alias, columns = self.source(depth)
        return text, [(alias, c) for c in columns], []

    def view(self):
        relation = self.select(0, subqueries=False)
        if self.chance.random() < 0.25:
            keys = ", ".join(f"c{i}{self.chance.choice((' ASC', ' DESC'))} NULLS FIRST" for i in range(len(relation.columns)))
            return Relation(both("SELECT * FROM ({}) AS o ORDER BY " + keys + f" LIMIT {self.chance.randint(1, 7)}", relation.text), relation.columns)
        return relation


def run_file(leat, path, *flags):
    out = subprocess.run([leat, "test", "--quiet", *flags, path], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=300, check=False)
    text = out.stdout.decode("utf-8", "replace")
    totals = re.findall(r"^(\d+) passed, (\d+) failed, (\d+) skipped$", text, re.M)
    passed, failed = (int(totals[-1][0]), int(totals[-1][1])) if totals else (0, 1)
    if out.returncode and not failed:
        failed = 1
    if failed:
        print(f"---- {path} {' '.join(flags)}: exit {out.returncode}")
        print("\n".join(text.split("\n")[:80]))
        source = open(path, encoding="utf-8").read().split("\n")
        for at in sorted({int(n) for n in re.findall(r"^.*:(\d+): ", text, re.M)})[:5]:
            print(f"  line {at}: " + " / ".join(source[at - 1:at + 1]))
    return passed, failed


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("leat")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--queries", type=int, default=300)
    parser.add_argument("--pipelines", type=int, default=12)
    parser.add_argument("--keep", help="a folder for the files; default: a temporary one")
    options = parser.parse_args()
    passed = failed = 0
    with tempfile.TemporaryDirectory(prefix="leat-test-") as scratch:
        folder = options.keep or scratch
        os.makedirs(folder, exist_ok=True)
        work = []
        for i in range((options.queries + FILE_QUERIES - 1) // FILE_QUERIES):
            path = os.path.join(folder, f"query{options.seed}_{i}.test")
            query_file(random.Random(f"query {options.seed} {i}"), path, min(FILE_QUERIES, options.queries - i * FILE_QUERIES))
            work.append((path, ()))
        for i in range(options.pipelines):
            path = os.path.join(folder, f"pipeline{options.seed}_{i}.test")
            pipeline_file(random.Random(f"pipeline {options.seed} {i}"), path)
            work += [(path, ("--threads", n)) for n in ("1", "2", "4")]
        for path, flags in work:
            good, bad = run_file(options.leat, path, *flags)
            passed, failed = passed + good, failed + bad
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
