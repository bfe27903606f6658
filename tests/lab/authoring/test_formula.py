"""Formulas become pictures inside the page; what mathtext does not know stays readable."""

from minikimi.lab.authoring.formula import draw_formulas, picture


def test_formulas_in_code_and_unknown_commands_stay() -> None:
    assert draw_formulas("<code>$x$</code>") == "<code>$x$</code>"
    assert picture(r"\begin{pmatrix}a\end{pmatrix}") == r"<code>\begin{pmatrix}a\end{pmatrix}</code>"
    assert draw_formulas("costs 5 $ or 6 $ each") == "costs 5 $ or 6 $ each"
    assert picture("x^2") == picture("x^2") and "svg+xml" in draw_formulas("so $x^2$ grows")
