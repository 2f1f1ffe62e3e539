"""Files that cannot be read as readings, and questions that only the user can answer."""

from collections.abc import Mapping

from wattcast.errors import REFUSED


class FileRefused(ValueError):
    """The file does not hold readings as requested; the message says why in one sentence."""

    exit_status = REFUSED


class Ambiguous(FileRefused):
    """The file can be read in several ways, or lacks a fact; an option of the command line settles it.

    Attributes:
        question: what is in doubt, as a sentence.
        choice: the field of `Choices` that settles it.
        answers: the value of that field by the option as it is typed. Empty where the answer is a free text; then `option` is
            how it is typed.
    """

    def __init__(
        self, question: str, choice: str, answers: Mapping[str, object] | None = None, option: str = ""
    ) -> None:
        self.question, self.choice, self.answers, self.option = question, choice, dict(answers or {}), option
        super().__init__(f"{question} Add {self.options}.")

    @property
    def options(self) -> str:
        """The options that settle the doubt, as they are typed."""
        return " or ".join([*self.answers, *([self.option] if self.option else [])])

    def __reduce__(self) -> tuple[type, tuple[object, ...]]:
        return type(self), (self.question, self.choice, self.answers, self.option)


def bad_row(message: str) -> Ambiguous:
    """The refusal of a row, which the user may leave out."""
    return Ambiguous(message, "skip_bad_rows", {"--skip-bad-rows": True})
