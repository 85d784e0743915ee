"""Evaluations as text: terminal tables, CSV, JSON, LaTeX. Each states its protocol."""

from __future__ import annotations

import csv
import io
import json
import math
from pathlib import Path
from typing import Any

from isomer.errors import InputError
from isomer.evaluate.results import Evaluation, MethodResult
from isomer.files import Stage, said_of

_FORMATS = (".csv", ".json", ".tex")
_PERCENT = ("J", "F", "T")
_LOWER_IS_BETTER = ("J-decay", "F-decay", "T-mean", "T-recall", "T-decay", "MAE")
_LATEX = {
    "J": r"\mathcal{J}",
    "F": r"\mathcal{F}",
    "T": r"\mathcal{T}",
    "J&F": r"\mathcal{J}\&\mathcal{F}",
    "MAE": r"\mathrm{MAE}",
    "S": r"S_\alpha",
    "Fbeta": r"F_\beta",
    "wFbeta": r"F^w_\beta",
    "E": r"E_\xi",
}


def format_table(evaluation: Evaluation, sequences: bool = True) -> str:
    """Tables for the terminal: the protocol, a table a method, the means of all methods, and the notes.

    J, F and T are in percent, the others fractions.

    Args:
        evaluation: what to print.
        sequences: whether to list every sequence.
    """
    lines = [f"protocol {evaluation.protocol.describe()}"]
    columns = evaluation.columns
    if sequences:
        for method, result in evaluation.methods.items():
            rows = [
                (name, str(len(one.frames)), *_cells(one.scores, columns)) for name, one in result.sequences.items()
            ]
            total = sum(len(one.frames) for one in result.sequences.values())
            rows.append(("mean", str(total), *_cells(result.mean, columns)))
            lines += ["", *_aligned((method, "frames", *columns), rows)]
    if not sequences or len(evaluation.methods) > 1:
        rows = [(name, *_cells(result.mean, columns)) for name, result in evaluation.methods.items()]
        lines += ["", *_aligned(("method", *columns), rows)]
    lines += [""] * bool(evaluation.notes) + [f"note: {note}" for note in evaluation.notes]
    return "\n".join(lines)


def check_formats(paths: list[Path]) -> None:
    """Raise InputError if the suffix of a path is no table format."""
    for path in paths:
        if path.suffix.lower() not in _FORMATS:
            raise InputError(f"{path}: no table format; use one of {', '.join(_FORMATS)}")


def save(evaluation: Evaluation, *files: str | Path) -> None:
    """Write every figure as CSV or JSON, or the means as a LaTeX table (.csv, .json, .tex), all files or none.

    Raises:
        InputError: another suffix, or a file cannot be written.
    """
    paths = [Path(file) for file in files]
    check_formats(paths)
    with Stage() as stage:
        for path in paths:
            text = {".csv": to_csv, ".json": to_json, ".tex": to_latex}[path.suffix.lower()](evaluation)
            with said_of(path):
                stage.file(path).write_text(text, encoding="utf-8")


def to_csv(evaluation: Evaluation) -> str:
    """One row a method and sequence and one for each method's mean; fractions in full precision."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(("protocol", "method", "sequence", "frames", *evaluation.columns))
    protocol, columns = evaluation.protocol.name, evaluation.columns
    for method, result in evaluation.methods.items():
        for name, one in result.sequences.items():
            scores = ["" if math.isnan(one.scores[column]) else repr(one.scores[column]) for column in columns]
            writer.writerow((protocol, method, name, len(one.frames), *scores))
        total = sum(len(one.frames) for one in result.sequences.values())
        means = ["" if math.isnan(result.mean[column]) else repr(result.mean[column]) for column in columns]
        writer.writerow((protocol, method, "mean", total, *means))
    return out.getvalue()


def to_json(evaluation: Evaluation) -> str:
    """Everything: protocol, notes, means, curves, and every sequence's scores and per-frame values."""
    document = {
        "protocol": evaluation.protocol.as_dict() | {"description": evaluation.protocol.describe()},
        "measures": evaluation.measures,
        "notes": evaluation.notes,
        "methods": {name: _method_json(result) for name, result in evaluation.methods.items()},
    }
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


def to_latex(evaluation: Evaluation) -> str:
    """The methods' means as a `tabular`, the best of each column in bold; the protocol in a comment."""
    columns = evaluation.columns
    header = " & ".join(["Method", *(_latex_column(column) for column in columns)])
    best = {column: _best(evaluation, column) for column in columns}
    lines = [
        f"% protocol {evaluation.protocol.describe()}",
        *(f"% note: {note}" for note in evaluation.notes),
        rf"\begin{{tabular}}{{l{'c' * len(columns)}}}",
        r"\hline",
        rf"{header} \\",
        r"\hline",
    ]
    for method, result in evaluation.methods.items():
        cells = _cells(result.mean, columns)
        if len(evaluation.methods) > 1:
            cells = tuple(
                rf"\textbf{{{cell}}}" if cell == best[column] else cell
                for cell, column in zip(cells, columns, strict=True)
            )
        lines.append(" & ".join((_escaped(method), *cells)) + r" \\")
    return "\n".join([*lines, r"\hline", r"\end{tabular}"]) + "\n"


def _method_json(result: MethodResult) -> dict[str, Any]:
    return {
        "mean": _finite(result.mean),
        "curves": {name: curve.tolist() for name, curve in result.curves.items()},
        "sequences": {
            name: {
                "scores": _finite(one.scores),
                "frames": one.frames,
                "values": {
                    measure: [None if math.isnan(value) else value for value in values]
                    for measure, values in one.values.items()
                },
            }
            for name, one in result.sequences.items()
        },
    }


def _finite(scores: dict[str, float]) -> dict[str, float | None]:
    return {column: None if math.isnan(value) else value for column, value in scores.items()}


def _cells(scores: dict[str, float], columns: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(_cell(column, scores[column]) for column in columns)


def _cell(column: str, value: float) -> str:
    if math.isnan(value):
        return "-"
    return f"{100 * value:.1f}" if _in_percent(column) else f"{value:.3f}"


def _in_percent(column: str) -> bool:
    return column == "J&F" or column.partition("-")[0] in _PERCENT


def _best(evaluation: Evaluation, column: str) -> str:
    values = [result.mean[column] for result in evaluation.methods.values()]
    values = [value for value in values if not math.isnan(value)]
    if not values:
        return ""
    return _cell(column, min(values) if column in _LOWER_IS_BETTER else max(values))


def _aligned(header: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    return [
        "  ".join(
            cell.ljust(width) if index == 0 else cell.rjust(width)
            for index, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in (header, *rows)
    ]


def _latex_column(column: str) -> str:
    measure, _, kind = column.partition("-")
    arrow = r"\downarrow" if column in _LOWER_IS_BETTER else r"\uparrow"
    label = rf"\mathrm{{{kind}}}" if kind else ""
    return rf"${_LATEX[measure]}{'~' if kind else ''}{label}{arrow}$"


def _escaped(text: str) -> str:
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    return "".join(special.get(char, rf"\{char}" if char in "&%$#_{}" else char) for char in text)
