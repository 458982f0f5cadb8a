"""`controlplane rules`: check, show, test and import rules."""

import click

from controlplane.cli.rules import importing, showing, testing, using


@click.group()
def rules() -> None:
    """Alert, scaling and failover rules."""


for _command in (
    using.check,
    using.list_,
    showing.show,
    showing.docs,
    testing.test,
    testing.coverage_,
    importing.import_,
):
    rules.add_command(_command)
