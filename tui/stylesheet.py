"""The rules of style, parsed once."""

from textual.css.stylesheet import Stylesheet


class Parsed(Stylesheet):
    """Parses anew only where a variable differs: Textual asks for it twice before anything is painted."""

    def __init__(self, variables: dict[str, str]) -> None:
        super().__init__(variables=variables)
        self._known, self._differs = variables, False

    def set_variables(self, variables: dict[str, str]) -> None:
        """Set the variables, and forget what was parsed with others."""
        self._differs = variables != self._known
        if self._differs:
            self._known = variables
            super().set_variables(variables)

    def reparse(self) -> None:
        """Parse everything with the variables that were set last, if that makes a difference."""
        if self._differs:
            super().reparse()
