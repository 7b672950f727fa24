"""A service reaches MongoDB and Kafka by TLS, and only them: settings alone, as docs/runbook.md has them."""

import datetime as dt
import ipaddress
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pymongo import MongoClient
from pymongo.errors import PyMongoError
from rapport_cli.running.environment import granted
from rapport_stack import KafkaServer, MongoServer, ports, spawn, stop
from rapport_stack.cluster import Member
from rapport_stack.mongo_users import uri_as
from rapport_stack.principals import Credentials
from rapport_stack.process import until

WHO = "engagement"
"""It hears, tells and seals."""


class Certificates:
    """An authority, and a certificate of 127.0.0.1 by it."""

    def __init__(self, folder: Path) -> None:
        self.authority = folder / "ca.pem"
        self.server = folder / "server.pem"
        """Key and certificate."""
        authority, server = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
        root = self._certificate("authority", authority, "authority", authority, authority=True)
        leaf = self._certificate("127.0.0.1", server, "authority", authority, authority=False)
        self.authority.write_bytes(root.public_bytes(serialization.Encoding.PEM))
        key = server.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self.server.write_bytes(key + leaf.public_bytes(serialization.Encoding.PEM))

    @staticmethod
    def _certificate(name: str, key: Any, by: str, signing: Any, *, authority: bool) -> x509.Certificate:
        def named(common: str) -> x509.Name:
            return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common)])

        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(named(name))
            .issuer_name(named(by))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False
            )
            .sign(signing, hashes.SHA256())
        )


class TlsMongo(MongoServer):
    """Speaks to nobody in clear."""

    certificates: Certificates

    def _mongod(self, member: Member, port: int) -> Sequence[str | Path]:
        pem = ("--tlsCertificateKeyFile", self.certificates.server, "--tlsCAFile", self.certificates.authority)
        without = "--tlsAllowConnectionsWithoutCertificates"
        return [*super()._mongod(member, port), "--tlsMode", "requireTLS", *pem, without]

    @property
    def tls(self) -> str:
        return f"&tls=true&tlsCAFile={self.certificates.authority}"

    def _client(self, host: str) -> Any:
        return MongoClient(
            f"mongodb://{host}/?authSource=local{self.tls}",
            directConnection=True,
            username="__system",
            password=self._credentials.password("mongod"),
            serverSelectionTimeoutMS=5_000,
        )


class TlsKafka(KafkaServer):
    """Has one more listener, by TLS, which its principals are sent to."""

    certificates: Certificates
    port: int

    def _properties(self, broker: Member) -> str:
        values = dict(line.split("=", 1) for line in super()._properties(broker).splitlines())
        for name in ("listeners", "advertised.listeners"):
            values[name] += f",TLS://{ports.LOOPBACK}:{self.port}"
        values["listener.security.protocol.map"] += ",TLS:SASL_SSL"
        values["listener.name.tls.plain.sasl.jaas.config"] = values["listener.name.client.plain.sasl.jaas.config"]
        values |= {"ssl.keystore.type": "PEM", "ssl.keystore.location": str(self.certificates.server)}
        return "".join(f"{name}={value}\n" for name, value in values.items())


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A service's settings for servers of our own, which take it by TLS alone."""
    folder = tmp_path_factory.mktemp("tls")
    credentials, principals = Credentials(folder / "secret"), granted({})
    mongo = TlsMongo(folder / "mongo", principals=principals, credentials=credentials)
    kafka = TlsKafka(folder / "kafka", principals=principals, credentials=credentials)
    mongo.certificates = kafka.certificates = Certificates(folder)
    (kafka.port,) = ports.choose(1)
    with mongo, kafka:
        yield {
            "RAPPORT_MONGO_URI": uri_as(mongo.uri, WHO, credentials.password(WHO)) + mongo.tls,
            "RAPPORT_KAFKA_BOOTSTRAP": f"{ports.LOOPBACK}:{kafka.port}",
            "RAPPORT_KAFKA_USERNAME": WHO,
            "RAPPORT_KAFKA_PASSWORD": credentials.password(WHO),
            "RAPPORT_KAFKA_SASL_MECHANISM": "PLAIN",
            "RAPPORT_KAFKA_TLS": "true",
            "RAPPORT_KAFKA_CA_FILE": str(mongo.certificates.authority),
            "RAPPORT_KEYRING_MASTER_KEY": "A" * 128,
        }


def reason(private: int) -> str:
    """Why the worker is not ready; nothing where it is."""
    try:
        answer = httpx.get(f"http://{ports.LOOPBACK}:{private}/readyz", trust_env=False)
    except httpx.HTTPError as error:
        return type(error).__name__
    return "" if answer.is_success else answer.text


def test_a_worker_is_ready_by_tls(environment: dict[str, str], tmp_path: Path) -> None:
    (private,) = ports.choose(1)
    log = tmp_path / "worker.log"
    own = {**os.environ, **environment, "RAPPORT_PRIVATE_PORT": str(private)}
    worker = spawn([sys.executable, "-m", "rapport_chassis", WHO, "worker"], log=log, env=own)
    try:
        assert until(lambda: not reason(private), seconds=60), f"{reason(private)}\n{log.read_text()[-2000:]}"
        assert "authentication is off" not in log.read_text()
    finally:
        stop(worker)


def test_mongodb_answers_nobody_in_clear(environment: dict[str, str]) -> None:
    in_clear = environment["RAPPORT_MONGO_URI"].partition("&tls=")[0]
    with MongoClient[dict[str, Any]](in_clear, serverSelectionTimeoutMS=500) as client, pytest.raises(PyMongoError):
        client.admin.command("ping")


def test_a_server_of_another_authority_is_not_believed(environment: dict[str, str]) -> None:
    uri = environment["RAPPORT_MONGO_URI"].partition("&tlsCAFile=")[0]
    with MongoClient[dict[str, Any]](uri, serverSelectionTimeoutMS=500) as client, pytest.raises(PyMongoError):
        client.admin.command("ping")
