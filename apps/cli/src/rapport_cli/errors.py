"""What can keep a command from doing its work, with what to do about it."""


class CommandError(Exception):
    """`cause` says what is wrong, `cure` what to do next; the command ends with exit code 1."""

    def __init__(self, cause: str, cure: str) -> None:
        super().__init__(f"{cause}\n{cure}")
        self.cause = cause
        self.cure = cure


class NotRunning(CommandError):
    def __init__(self) -> None:
        super().__init__("Rapport does not run here.", "Start it with: rapport up")
