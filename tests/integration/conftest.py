"""Servers that the integration tests share; each is started once a session, when the first test asks for it."""

from tests.servers_exporters import full_disk as full_disk
from tests.servers_exporters import monitoring as monitoring
from tests.servers_kafka import kafka as kafka
from tests.servers_postgresql import postgresql_server as postgresql_server
from tests.servers_probes import exporters as exporters
