import base64
import json
import os
import sys

import pytest
from rapport_cli import main
from rapport_cli.commands.token import issue
from rapport_cli.errors import CommandError
from rapport_cli.main import app, commands
from rapport_cli.running.state import Folder
from rapport_stack.workbench import Workbench
from typer.testing import CliRunner

NAMES = ["up", "down", "status", "demo", "load", "watch", "token", "trace", "dlq", "republish", "rebuild"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("RAPPORT_FOLDER", str(tmp_path))
    return Folder(tmp_path)


@pytest.fixture
def bench(folder):
    folder.workbench.mkdir()
    Workbench(folder.workbench, "http://127.0.0.1:9", 25, os.getpid()).announce()


def told(monkeypatch, capsys, *arguments):
    """Exit code and standard error of a command."""
    monkeypatch.setattr(sys, "argv", ["rapport", *arguments])
    with pytest.raises(SystemExit) as ended:
        app()
    return ended.value.code, " ".join(capsys.readouterr().err.split())


def test_every_command_is_there_and_says_what_it_does():
    shown = CliRunner().invoke(commands, ["--help"])

    assert [command.name for command in commands.registered_commands] + [
        group.name for group in commands.registered_groups
    ] == [name for name in NAMES if name not in {"dlq", "republish", "rebuild"}] + ["republish", "rebuild", "dlq"]
    assert all(name in shown.output for name in NAMES)


@pytest.mark.parametrize("command", ["status", "token --role analyst", "watch", "load", "dlq list"])
def test_without_a_platform_a_command_says_how_to_start_one(folder, monkeypatch, capsys, command):
    code, text = told(monkeypatch, capsys, *command.split())

    assert code == 1
    assert "does not run here" in text
    assert "rapport up" in text


def test_status_for_a_script_says_not_running(folder):
    asked = CliRunner().invoke(commands, ["status", "--json"])

    assert json.loads(asked.output) == {"ready": False, "phase": "not running"}
    assert asked.exit_code == 1


def test_down_is_content_when_nothing_runs(folder):
    assert "does not run" in CliRunner().invoke(commands, ["down"]).output


@pytest.mark.parametrize(
    ("command", "cure"),
    [
        ("republish no.topic", "feedback.response"),
        ("token --role king", "engagement-officer"),
        ("trace", "rapport up"),
    ],
)
def test_an_error_names_what_to_do_next(folder, monkeypatch, capsys, command, cure):
    code, text = told(monkeypatch, capsys, *command.split())

    assert code == 1
    assert cure in text


def test_without_docker_the_stack_of_containers_says_what_to_use(folder, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("PATH", str(tmp_path))
    code, text = told(monkeypatch, capsys, "up", "--stack", "containers")

    assert code == 1
    assert "Install Docker with Compose, or use --stack embedded" in text


def test_a_token_carries_what_was_asked_for(folder, bench):
    token = issue(folder, ["analyst", "operator"], subject="somebody", region="wales", lifetime=60)
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))

    assert claims["roles"] == ["analyst", "operator"]
    assert (claims["sub"], claims["region"], claims["iss"]) == ("somebody", "wales", "http://127.0.0.1:9")
    assert claims["exp"] - claims["iat"] == 60


def test_the_token_command_prints_the_token_and_nothing_else(folder, bench):
    printed = CliRunner().invoke(commands, ["token", "--role", "analyst"]).output

    assert printed.count(".") == 2
    assert len(printed.split()) == 1


def test_a_role_that_there_is_not_is_refused(folder, bench):
    with pytest.raises(CommandError, match="king"):
        issue(folder, ["king"], subject="somebody")


def test_the_entry_point_of_the_package_is_the_function_that_turns_errors_into_words():
    assert main.app is app
