"""The control plane as a Dagster resource."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from dagster import ConfigurableResource, Failure, InitResourceContext
from pydantic import PrivateAttr

from controlplane import bootstrap
from controlplane.model.errors import ControlplaneError
from controlplane.settings import Settings
from controlplane.tick import ControlPlane
from controlplane.tick.collect import Collected


@contextmanager
def readable_errors() -> Iterator[None]:
    """An error that is meant for people fails a step with its own text, without a stack."""
    try:
        yield
    except ControlplaneError as error:
        raise Failure(str(error)) from None


class ControlPlaneResource(ConfigurableResource):  # type: ignore[type-arg]  # what a step gets is the resource itself
    """Stores, sources, rules and channels of the settings file, opened for one run."""

    config: str = ""
    """Settings file; empty = CONTROLPLANE_CONFIG or ./controlplane.yaml."""

    _opened: tuple[Settings, ControlPlane] | None = PrivateAttr(default=None)
    _collected: list[Collected] | None = PrivateAttr(default=None)

    @contextmanager
    def yield_for_execution(self, context: InitResourceContext) -> Iterator["ControlPlaneResource"]:
        """Nothing is opened yet; what a step opened is closed when the run ends, however it ends."""
        del context
        try:
            yield self
        finally:
            if self._opened is not None:
                self._opened[1].log.close()
                self._opened = None
            self._collected = None

    @property
    def settings(self) -> Settings:
        """The settings as they were when the run first needed them; Failure says what is wrong with them."""
        return self._open()[0]

    @property
    def plane(self) -> ControlPlane:
        """The control plane of these settings; Failure where it can't be opened."""
        return self._open()[1]

    @property
    def collected(self) -> list[Collected] | None:
        """What this run has collected, so that nothing that just failed is asked again; None = it collects nothing."""
        return self._collected

    def add_collected(self, report: Sequence[Collected]) -> None:
        """Remember what a step of this run collected."""
        self._collected = [*(self._collected or []), *report]

    def _open(self) -> tuple[Settings, ControlPlane]:
        if self._opened is None:
            with readable_errors():
                path = bootstrap.settings_path(Path(self.config) if self.config else None)
                if path is None:
                    raise bootstrap.missing_settings(path)
                settings = bootstrap.load_settings(path)
                self._opened = settings, bootstrap.control_plane(settings)
        return self._opened


def configured() -> bool:
    """Whether there is a settings file to work with."""
    path = bootstrap.settings_path()
    return path is not None and os.access(path, os.R_OK)
