"""Images and compose file are as careful as they say: checked as text, without Docker."""

import re
from typing import Any

import pytest
import yaml
from rapport_cli.running.compose import PUBLISHED
from rapport_cli.running.environment import granted
from rapport_stack.containers import KAFKA, MONGO

from tests.architecture.source import ROOT, SERVICES

COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
CONTAINERS: dict[str, Any] = COMPOSE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
OURS = {f"{service}-{half}": (service, half) for service in SERVICES for half in ("api", "worker")}
WITHOUT_CHECK = {"principals", "collector", "jaeger"}
"""It ends by itself; and two images that have no program to ask with."""


def test_both_halves_of_every_service_run_from_its_image() -> None:
    assert set(OURS) == {name for name in CONTAINERS if name.endswith(("-api", "-worker"))}
    for name, (service, half) in OURS.items():
        container = CONTAINERS[name]
        assert container["command"] == [service, half]
        assert (container["image"], container["build"]["args"]) == (f"rapport/{service}", {"SERVICE": service})
        assert "user" not in container, "the image's own"


def test_every_service_is_itself_at_mongodb_and_kafka() -> None:
    principals = {each.name for each in granted({})}
    assert principals == set(SERVICES)
    for name, (service, _) in OURS.items():
        told = CONTAINERS[name]["environment"]
        password = f"${{RAPPORT_{service.upper()}_PASSWORD}}"
        assert told["RAPPORT_MONGO_URI"].startswith(f"mongodb://{service}:{password}@"), name
        assert (told["RAPPORT_KAFKA_USERNAME"], told["RAPPORT_KAFKA_PASSWORD"]) == (service, password)
    users = re.findall(r"(?<=user_)\w+(?==)", COMPOSE["x-users"])
    assert set(users) == {*principals, "administrator"}
    protocols = CONTAINERS["kafka"]["environment"]["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"]
    assert {each.partition(":")[2] for each in protocols.split(",")} == {"SASL_PLAINTEXT"}


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_container_may_do_little(name: str) -> None:
    container = CONTAINERS[name]
    assert container["read_only"] is True
    assert container["cap_drop"] == ["ALL"]
    assert container["security_opt"] == ["no-new-privileges:true"]
    assert container["mem_limit"]
    assert container["restart"] == ("no" if name == "principals" else "unless-stopped")
    assert "privileged" not in container
    # Kafka's image has a user of its own, and so have ours.
    assert "user" in container or name in {*OURS, "kafka"}


@pytest.mark.parametrize("name", CONTAINERS)
def test_a_container_is_published_on_this_machine_only(name: str) -> None:
    assert all(port.startswith("127.0.0.1:") for port in CONTAINERS[name].get("ports", ()))


@pytest.mark.parametrize("name", CONTAINERS)
def test_images_of_others_have_a_version(name: str) -> None:
    container = CONTAINERS[name]
    assert "build" in container or re.fullmatch(r"[\w./-]+:\d+\.\d+(\.\d+)?", container["image"])


@pytest.mark.parametrize("name", sorted(set(CONTAINERS) - WITHOUT_CHECK - set(OURS) - {"workbench"}))
def test_servers_are_asked_how_they_are(name: str) -> None:
    check = CONTAINERS[name]["healthcheck"]
    assert int(check["interval"].removesuffix("s")) >= 5
    assert check["start_interval"] == "1s"


def test_our_images_ask_themselves() -> None:
    checks = re.findall(r"^HEALTHCHECK --interval=(\d+)s .*--start-interval=1s CMD", DOCKERFILE, re.MULTILINE)
    assert len(checks) == len(("workbench", "service"))
    assert all(int(seconds) >= 5 for seconds in checks)


def test_our_images_end_without_root_and_without_secrets() -> None:
    for stage in ("workbench", "service"):
        text = DOCKERFILE.partition(f" AS {stage}\n")[2].partition("\nFROM ")[0]
        assert re.search(r"^USER 10001:10001$", text, re.MULTILINE), stage
    assert not re.search(r"KEY|SECRET|PASSWORD|TOKEN", DOCKERFILE)
    assert DOCKERFILE.rpartition("\nFROM ")[2].startswith("runtime AS service"), "the last stage is the default"
    assert "rapport_stack" not in DOCKERFILE.rpartition("\nFROM ")[2]


def test_our_images_list_what_they_carry() -> None:
    """By the same words as `make sbom`, whose outcome test_supply.py looks at."""
    assert (
        '--locked --no-dev --package "$SERVICE" --format cyclonedx1.5 --quiet --output-file /sbom.cdx.json'
        in DOCKERFILE
    )
    runtime = DOCKERFILE.partition(" AS runtime\n")[2].partition("\nFROM ")[0]
    assert "COPY --from=third-party /sbom.cdx.json /\n" in runtime
    assert "--locked --no-dev --package $$each --format cyclonedx1.5 --quiet" in (ROOT / "Makefile").read_text("utf-8")


def test_whoever_tests_runs_the_images_that_compose_runs() -> None:
    assert {CONTAINERS["mongo"]["image"], CONTAINERS["kafka"]["image"]} == {MONGO, KAFKA}


def test_every_fixed_port_can_be_chosen() -> None:
    text = (ROOT / "docker-compose.yml").read_text("utf-8")
    assert {f"RAPPORT_{name.upper()}_PORT" for name in PUBLISHED} == set(
        re.findall(r"\{(RAPPORT_\w+_PORT):-\d", text)
    ) - {"RAPPORT_NOTIFICATIONS_EMAIL_PORT"}


def test_spans_go_to_jaeger_only_in_its_profile() -> None:
    plain = yaml.safe_load((ROOT / "deploy/otel/collector.yaml").read_text("utf-8"))
    more = yaml.safe_load((ROOT / "deploy/otel/jaeger.yaml").read_text("utf-8"))
    (traces,) = plain["service"]["pipelines"].values()
    assert set(traces["exporters"]) == set(plain["exporters"])
    assert set(more["service"]["pipelines"]["traces"]["exporters"]) == {*plain["exporters"], *more["exporters"]}
    assert CONTAINERS["jaeger"]["profiles"] == ["observability"]
    assert "${COMPOSE_PROFILES:+--config=/etc/otel/jaeger.yaml}" in CONTAINERS["collector"]["command"]
