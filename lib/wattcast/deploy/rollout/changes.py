"""What a deployment changes: which objects, as they were before and after, and which applications the operator restarts.

The operator starts an application again when its spec changes; a deployment predicts that and waits for the new submission.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from wattcast.deploy.manifests.documents import API_VERSION, Manifest, title, without_server_fields

Report = Callable[[str], None]
"""Called with a line of progress."""


@dataclass
class Change:
    """A document, with the object before (None if it is new) and after (None while the answer is outstanding)."""

    document: Manifest
    before: Manifest | None
    after: Manifest | None = None

    @property
    def title(self) -> str:
        return title(self.document)

    @property
    def is_application(self) -> bool:
        return bool(self.document["apiVersion"] == API_VERSION)

    @property
    def old_submission(self) -> str | None:
        """The submission id before the change; None for a new application."""
        return str(self.before.get("status", {}).get("submissionID", "")) if self.before else None

    @property
    def is_empty(self) -> bool:
        if self.before is None or self.after is None:
            return False
        return without_server_fields(self.before) == without_server_fields(self.after)

    @property
    def makes_operator_restart(self) -> bool:
        """Whether the operator starts the application because of it: it is new, or its spec has changed beyond `suspend`."""
        if not self.is_application:
            return False
        return self.before is None or _run_spec(self.before) != _run_spec(self.after or self.document)


@dataclass
class AppliedChanges:
    """The changes that a deployment has made so far, in their order."""

    changes: list[Change] = field(default_factory=list)

    @property
    def is_empty(self) -> bool:
        return not self.changes

    @property
    def old_submissions(self) -> dict[str, str | None]:
        """By application that restarts: its submission so far, None for a new one. The deployment waits for the next."""
        return {
            str(change.document["metadata"]["name"]): change.old_submission
            for change in self.changes
            if change.makes_operator_restart
        }


def _run_spec(application: Manifest) -> Manifest:
    """The part of the spec whose change makes the operator start the application again."""
    return {key: value for key, value in application["spec"].items() if key != "suspend"}
