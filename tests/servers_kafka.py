"""A real Kafka cluster in KRaft mode on loopback, from the jars that `.ci/kafka.sh` fetches."""

import base64
import contextlib
import os
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trustme
from confluent_kafka.admin import AdminClient, NewTopic
from cryptography.hazmat.primitives import serialization

from tests.servers import Server, eventually, free_port, missing, require_binary, running

REPOSITORY = Path(__file__).resolve().parent.parent
USER, PASSWORD = "monitor", "correct horse"
_JVM = ("-Xms64m", "-Xmx512m", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-XX:-UsePerfData")
_LOG = ("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-Dorg.slf4j.simpleLogger.showDateTime=true")


def kafka_jars() -> str:
    """The class path of the broker; skips (fails under CI) where `.ci/kafka.sh` hasn't been run."""
    home = Path(os.environ.get("CONTROLPLANE_KAFKA_HOME") or REPOSITORY / ".tools" / "kafka")
    if not (home / "complete").exists():
        missing(f"no Kafka jars in {home}; run .ci/kafka.sh")
    return str(home / "libs" / "*")


@dataclass(slots=True)
class Broker:
    """One node: its listeners and its process."""

    node: int
    plain: str
    """host:port without authentication."""
    sasl: str
    """host:port of SASL_PLAINTEXT."""
    tls: str
    """host:port of SASL_SSL."""
    server: Server


@dataclass(slots=True)
class Cluster:
    """A running cluster; node 1 is broker and controller, further nodes are brokers."""

    brokers: dict[int, Broker]
    authority: Path
    """PEM file of the authority that signed the certificate of the TLS listener."""
    opened: list[AdminClient] = field(default_factory=list)

    @property
    def bootstrap(self) -> str:
        """host:port of the first broker, without authentication."""
        return self.brokers[1].plain

    @property
    def admin(self) -> AdminClient:
        """A client for administration, connected without authentication."""
        if not self.opened:
            self.opened.append(AdminClient({"bootstrap.servers": self.bootstrap}))
        return self.opened[0]


@contextlib.contextmanager
def kafka_cluster(folder: Path, homes: tuple[int, int, int] = (1, 1, 1)) -> Iterator[Cluster]:
    """Format the storage of as many nodes as `homes` needs, start them, and end them afterwards.

    `homes` are the nodes that keep the commits of consumer groups, one for each partition of `__consumer_offsets`.
    """
    brokers = max(homes)
    java, jars = require_binary("java"), kafka_jars()
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    _keystore(authority.issue_cert("127.0.0.1"), folder / "server.pem")
    cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
    controller = free_port()
    started: dict[int, Broker] = {}
    with contextlib.ExitStack() as stack:
        for node in range(1, brokers + 1):
            started[node] = stack.enter_context(_broker(folder, node, controller, cluster_id, [str(java), "-cp", jars]))
        cluster = Cluster(started, folder / "authority.pem")
        eventually(lambda: len(cluster.admin.list_topics(timeout=5).brokers) == brokers, "all brokers are registered")
        # Kafka would create it at the first commit, and keep that waiting for long.
        commits = NewTopic(
            "__consumer_offsets",
            len(homes),
            replica_assignment=[[node] for node in homes],
            config={"cleanup.policy": "compact"},
        )
        cluster.admin.create_topics([commits])["__consumer_offsets"].result(30)
        yield cluster
        cluster.opened.clear()


def _keystore(certificate: trustme.LeafCert, file: Path) -> None:
    # Kafka reads private keys as PKCS #8 only.
    key = serialization.load_pem_private_key(certificate.private_key_pem.bytes(), None)
    encoding, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    chain = b"".join(blob.bytes() for blob in certificate.cert_chain_pems)
    file.write_bytes(key.private_bytes(encoding, pkcs8, serialization.NoEncryption()) + chain)


@contextlib.contextmanager
def _broker(folder: Path, node: int, controller: int, cluster_id: str, java: list[str]) -> Iterator[Broker]:
    ports = {name: f"127.0.0.1:{free_port()}" for name in ("PLAIN", "SASL", "TLS")}
    properties = folder / f"node-{node}.properties"
    properties.write_text(_properties(folder, node, controller, ports))
    command = [java[0], *_JVM, *_LOG, *java[1:]]
    # With "=", because an id may begin with "-".
    format_storage = ["kafka.tools.StorageTool", "format", f"--cluster-id={cluster_id}", f"--config={properties}"]
    done = subprocess.run([*command, *format_storage], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    client = AdminClient({"bootstrap.servers": ports["PLAIN"], "log_level": 0})
    with running(
        [*command, "kafka.Kafka", str(properties)],
        log=folder / f"node-{node}.log",
        ready=lambda: node in client.list_topics(timeout=1).brokers,
        deadline=60,
    ) as server:
        yield Broker(node, ports["PLAIN"], ports["SASL"], ports["TLS"], server)


def _properties(folder: Path, node: int, controller: int, ports: dict[str, str]) -> str:
    listeners = [f"{name}://{address}" for name, address in ports.items()]
    first = node == 1
    login = "org.apache.kafka.common.security.plain.PlainLoginModule required"
    values = {
        "process.roles": "broker,controller" if first else "broker",
        "node.id": node,
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "controller.listener.names": "CONTROLLER",
        "listeners": ",".join([*listeners, *([f"CONTROLLER://127.0.0.1:{controller}"] if first else [])]),
        "advertised.listeners": ",".join(listeners),
        "inter.broker.listener.name": "PLAIN",
        "listener.security.protocol.map": "PLAIN:PLAINTEXT,SASL:SASL_PLAINTEXT,TLS:SASL_SSL,CONTROLLER:PLAINTEXT",
        "sasl.enabled.mechanisms": "PLAIN",
        "listener.name.sasl.plain.sasl.jaas.config": f'{login} user_{USER}="{PASSWORD}";',
        "listener.name.tls.plain.sasl.jaas.config": f'{login} user_{USER}="{PASSWORD}";',
        "listener.name.tls.ssl.keystore.type": "PEM",
        "listener.name.tls.ssl.keystore.location": folder / "server.pem",
        "log.dirs": folder / f"data-{node}",
        "auto.create.topics.enable": "false",
        "offsets.topic.num.partitions": 3,
        "offsets.topic.replication.factor": 1,
        "transaction.state.log.num.partitions": 3,
        "transaction.state.log.replication.factor": 1,
        "transaction.state.log.min.isr": 1,
        "group.initial.rebalance.delay.ms": 0,
        "group.consumer.min.heartbeat.interval.ms": 200,
        "group.consumer.heartbeat.interval.ms": 200,
        "broker.heartbeat.interval.ms": 300,
        "broker.session.timeout.ms": 3000,
        "log.cleaner.dedupe.buffer.size": 4_000_000,
    }
    return "".join(f"{key}={value}\n" for key, value in values.items())


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A cluster of one broker for the whole session; tests use topics and groups of their own."""
    with kafka_cluster(tmp_path_factory.mktemp("kafka")) as cluster:
        yield cluster
