"""Respondents: stakeholders who answered under their name, so that an erasure finds all they said."""

from dataclasses import dataclass

from feedback.domain.response import StakeholderErased


@dataclass(slots=True, kw_only=True)
class Respondent:
    """Written with each response of the stakeholder and with its erasure, so that neither can miss the other."""

    id: str
    version: int = 0
    erased: bool = False

    def check_present(self) -> None:
        """Raises StakeholderErased."""
        if self.erased:
            raise StakeholderErased("the stakeholder was erased")
