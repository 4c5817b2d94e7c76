"""Small wrong programs made from a right one: each mutant changes one operator, number, name or statement of a Python source.

Nothing is changed in docstrings, annotations, messages, warnings, `__all__`, lines marked as pragma no cover, nor where a change
is known to leave all results as they are (what steers iterations or speed, and the value that a guarded branch never shows).
"""

from __future__ import annotations

import ast
import dataclasses
import random
import re
from collections.abc import Iterator

COMPARED = {
    ast.Lt: ("<", ["<=", ">="]),
    ast.LtE: ("<=", ["<", ">"]),
    ast.Gt: (">", [">=", "<="]),
    ast.GtE: (">=", [">", "<"]),
    ast.Eq: ("==", ["!="]),
    ast.NotEq: ("!=", ["=="]),
    ast.Is: ("is", ["is not"]),
    ast.IsNot: ("is not", ["is"]),
    ast.In: ("in", ["not in"]),
    ast.NotIn: ("not in", ["in"]),
}
COMBINED = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "/"),
    ast.Div: ("/", "*"),
    ast.BitAnd: ("&", "|"),
    ast.BitOr: ("|", "&"),
}
PAIRS = [
    ("max", "min"),
    ("maximum", "minimum"),
    ("sum", "prod"),
    ("argmax", "argmin"),
    ("real", "imag"),
    ("any", "all"),
    ("cos", "sin"),
    ("cosh", "sinh"),
    ("exp", "expm1"),
    ("log", "log1p"),
    ("zeros", "ones"),
    ("zeros_like", "ones_like"),
    ("triu", "tril"),
    ("floor", "ceil"),
]
OTHER = {a: b for pair in PAIRS for a, b in (pair, pair[::-1])}
PLAIN = {"max", "min", "any", "all"}  # of these names also the builtin
DROPPED = {"T", "mT", "dag"}
STEERING = re.compile(
    r"(?i).*(tol|eps|max_?steps|max_?iter|iterations|unroll|inline|donate|precision|sorted|unique_indices|throw|stacklevel|chunk|memory|strict|static).*"
)
SMALLEST = 1e-5  # a smaller number in a source is a tolerance


@dataclasses.dataclass(frozen=True)
class Mutant:
    """One change of one source: the text from `start` to `end` becomes `after`."""

    path: str
    line: int
    kind: str
    start: int
    end: int
    before: str
    after: str

    def applied(self, source: str) -> str:
        assert source[self.start : self.end] == self.before, f"{self.path} is not the source that the mutant was made from"
        return source[: self.start] + self.after + source[self.end :]

    def shown(self, source: str) -> tuple[str, str]:
        """The lines that it changes, before and after."""
        first, last = source.rfind("\n", 0, self.start) + 1, source.find("\n", self.end)
        old = source[first : last if last >= 0 else None]
        return old.strip(), (old[: self.start - first] + self.after + old[self.end - first :]).strip()


class _Maker(ast.NodeVisitor):
    def __init__(self, path: str, source: str):
        self.path, self.source, self.found = path, source, []
        lines = source.splitlines(keepends=True)
        self.offset = [0]
        for line in lines:
            self.offset.append(self.offset[-1] + len(line))
        self.lines = lines
        self.guards = 0  # how many `where` surround the node

    def at(self, line: int, column: int) -> int:
        """The offset of an ast position, whose column counts bytes."""
        return self.offset[line - 1] + len(self.lines[line - 1].encode()[:column].decode())

    def span(self, node: ast.AST) -> tuple[int, int]:
        return self.at(node.lineno, node.col_offset), self.at(node.end_lineno, node.end_col_offset)

    def text(self, node: ast.AST) -> str:
        return self.source[slice(*self.span(node))]

    def add(self, kind: str, start: int, end: int, after: str):
        line = self.source.count("\n", 0, start) + 1
        before = self.source[start:end]
        if "pragma: no cover" not in self.lines[line - 1] and before != after:
            self.found.append(Mutant(self.path, line, kind, start, end, before, after))

    def replace(self, kind: str, node: ast.AST, after: str):
        self.add(kind, *self.span(node), after)

    def between(self, kind: str, left: ast.AST, right: ast.AST, sign: str, after: str):
        """Replaces the operator that stands between two nodes."""
        start, end = self.span(left)[1], self.span(right)[0]
        gap = re.sub(r"#.*", lambda m: " " * len(m[0]), self.source[start:end])
        pattern = re.escape(sign) if not sign[0].isalpha() else r"\b" + sign.replace(" ", r"\s+") + r"\b"
        match = re.search(pattern, gap)
        if match:
            self.add(kind, start + match.start(), start + match.end(), after)

    # What is left alone.

    def visit_FunctionDef(self, node):
        if node.name not in ("__repr__", "__str__"):
            for part in [*node.decorator_list, *node.args.defaults, *filter(None, node.args.kw_defaults), *_body(node)]:
                self.visit(part)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_Lambda(self, node):
        for part in [*node.args.defaults, *filter(None, node.args.kw_defaults), node.body]:
            self.visit(part)

    def visit_ClassDef(self, node):
        for part in [*node.decorator_list, *_body(node)]:
            self.visit(part)

    def visit_Module(self, node):
        for part in _body(node):
            self.visit(part)

    def visit_AnnAssign(self, node):
        if node.value is not None and not _steers(node.target):
            self.visit(node.value)

    def visit_Raise(self, node):
        pass

    def visit_JoinedStr(self, node):
        pass

    def visit_keyword(self, node):
        if not (node.arg and STEERING.fullmatch(node.arg)):
            self.visit(node.value)

    # What is changed.

    def visit_Assign(self, node):
        target = node.targets[0]
        name = target.id if isinstance(target, ast.Name) else ""
        if _steers(target) or name == "__all__" or (name[:1].isupper() and _is_type(node.value)):
            return
        if isinstance(target, ast.Name) and _starts_with(node.value, target.id):
            self.replace("statement removed", node, "pass")
        self.visit(node.value)

    def visit_AugAssign(self, node):
        self.replace("statement removed", node, "pass")
        if type(node.op) in COMBINED and not _joins(node.value):
            old, new = COMBINED[type(node.op)]
            self.between("arithmetic", node.target, node.value, old + "=", new + "=")
        self.visit(node.value)

    def visit_Compare(self, node):
        sides = [node.left, *node.comparators]
        for left, op, right in zip(sides, node.ops, sides[1:], strict=False):
            sign, others = COMPARED[type(op)]
            for other in others:
                self.between("comparison", left, right, sign, other)
        self.generic_visit(node)

    def visit_BoolOp(self, node):
        old, new = ("and", "or") if isinstance(node.op, ast.And) else ("or", "and")
        self.between("and/or", node.values[0], node.values[1], old, new)
        self.generic_visit(node)

    def visit_BinOp(self, node):
        if type(node.op) in COMBINED and not (_joins(node.left) or _joins(node.right)):
            self.between("arithmetic", node.left, node.right, *COMBINED[type(node.op)])
        if isinstance(node.op, ast.Pow) and not isinstance(node.right, ast.Constant):
            self.replace("exponent", node.right, f"({self.text(node.right)} + 1)")
        self.generic_visit(node)

    def visit_UnaryOp(self, node):
        kind = {ast.USub: "sign", ast.Not: "not", ast.Invert: "not"}.get(type(node.op))
        if kind:
            inner = self.text(node.operand)
            self.replace(kind, node, inner if isinstance(node.operand, ast.Constant) else f"({inner})")
        self.visit(node.operand)

    def visit_Constant(self, node):
        value = node.value
        if isinstance(value, bool):
            self.replace("flag", node, str(not value))
        elif isinstance(value, int):
            self.replace("number", node, str(value + 1))
        elif isinstance(value, float) and (value == 0 or abs(value) >= SMALLEST):
            self.replace("number", node, repr(1.5 * value) if value else "1.0")

    def visit_Attribute(self, node):
        if isinstance(node.ctx, ast.Load):
            start, end = self.span(node.value)[1], self.span(node)[1]
            if node.attr in OTHER:
                self.add("name", end - len(node.attr), end, OTHER[node.attr])
            elif node.attr in DROPPED:
                self.add("transpose", start, end, "")
        self.visit(node.value)

    def visit_Subscript(self, node):
        if isinstance(node.slice, ast.Name) and isinstance(node.ctx, ast.Load) and len(node.slice.id) <= 2:
            self.replace("index", node.slice, f"{node.slice.id} - 1")
        self.generic_visit(node)

    def visit_Call(self, node):
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        if name == "warn":
            return
        start, end = self.span(node)
        if isinstance(node.func, ast.Name) and name in PLAIN:
            self.replace("name", node.func, OTHER[name])
        if name in ("conj", "conjugate", "abs") and (node.args or isinstance(node.func, ast.Attribute)):
            kept = node.args[0] if node.args else node.func.value
            self.add("conjugate" if name != "abs" else "modulus", start, end, f"({self.text(kept)})")
        if name == "cumsum":
            self.add("reversed", end, end, "[::-1]")
        if name == "where" and len(node.args) == 3:
            _, yes, no = node.args
            (a, b), (c, d) = self.span(yes), self.span(no)
            if self.text(yes) != self.text(no):
                self.add("branches", a, d, self.text(no) + self.source[b:c] + self.text(yes))
            self.visit(node.func)
            self.visit(node.args[0])
            self.guards += 1
            for branch in (yes, no):
                # Within another `where` a plain number is what keeps a derivative finite, on the side that is not shown.
                if not (self.guards > 1 and isinstance(branch, ast.Constant)):
                    self.visit(branch)
            self.guards -= 1
            return
        self.visit(node.func)
        for argument in node.args[: 1 if name == "isinstance" else None]:
            self.visit(argument)
        for keyword in node.keywords:
            self.visit(keyword)


def _body(node) -> list[ast.stmt]:
    return node.body[1:] if ast.get_docstring(node) is not None else node.body


def _steers(target: ast.AST) -> bool:
    return isinstance(target, ast.Name) and STEERING.fullmatch(target.id) is not None


def _is_type(value: ast.AST) -> bool:
    return isinstance(value, ast.Subscript) and getattr(value.value, "id", "") in ("tuple", "Callable", "dict", "list")


def _joins(node: ast.AST) -> bool:
    """Whether it is a text or a list, which + joins and - cannot."""
    return isinstance(node, ast.JoinedStr | ast.List | ast.Tuple) or (isinstance(node, ast.Constant) and isinstance(node.value, str | None))


def _starts_with(value: ast.AST, name: str) -> bool:
    """Whether an expression is made of the variable itself, as x.at[0].set(1) or x + 1 are."""
    while not isinstance(value, ast.Name):
        value = next((getattr(value, k) for k in ("func", "value", "left") if isinstance(getattr(value, k, None), ast.AST)), None)
        if value is None:
            return False
    return value.id == name


def mutants(path: str, source: str) -> list[Mutant]:
    """All mutants of one source, each of which is Python."""
    maker = _Maker(path, source)
    maker.visit(ast.parse(source))
    found = sorted(set(maker.found), key=lambda m: (m.start, m.end, m.after))
    return list(filter(lambda m: _parses(m.applied(source)), found))


def _parses(source: str) -> bool:
    try:
        ast.parse(source)
    except SyntaxError:
        return False
    return True


def sample(rooms: dict[str, list[Mutant]], count: int, seed: int) -> Iterator[tuple[str, Mutant]]:
    """`count` of them in random order, from every room in proportion to how many it has; any first part is a sample too."""
    total = sum(map(len, rooms.values()))
    shares = {room: min(count, total) * len(all_) / total for room, all_ in rooms.items()}
    taken = {room: int(share) for room, share in shares.items()}
    for room in sorted(shares, key=lambda r: taken[r] - shares[r])[: min(count, total) - sum(taken.values())]:
        taken[room] += 1
    generator = random.Random(seed)
    drawn = [(room, mutant) for room in sorted(rooms) for mutant in generator.sample(rooms[room], taken[room])]
    generator.shuffle(drawn)
    return iter(drawn)
