"""Parameters of the method for clusters whose size is one of a few fixed ones."""

from datetime import timedelta
from itertools import pairwise
from typing import Annotated, Self

from pydantic import Field, Strict, model_validator

from controlplane.model.base import Duration
from controlplane.model.commands import Argv, templates
from controlplane.model.methods.base import Fraction, Parameters, Positive, PriceId, Rate
from controlplane.model.sizes import Bytes

SignalText = Annotated[str, Field(min_length=1)]
Text = Annotated[str, Field(min_length=1, max_length=60)]
NodeCommands = Annotated[tuple[Argv, ...], templates("cluster", "node")]


class NodeLoad(Parameters):
    """A load that the nodes of a cluster share: a signal, what a node carries of it, and how much of that is used."""

    signal: SignalText
    name: Text
    """What there is more of, such as `message`: a cluster is message-bound or connection-bound."""
    label: SignalText = "node"
    """Label of the series that holds the id of the node."""
    unit: Text = "1"
    """Unit of the signal; a share is told in per cent, anything else by its name."""
    per_node: Rate | None = None
    """What a node carries, in the unit of the signal; absent = the smallest limit of the nodes in the inventory."""
    headroom: Fraction = 0.8
    """Share of what all nodes carry that is used at most."""
    after_loss: Fraction | None = 1.0
    """The same for the other nodes when one is lost; null = its loss needn't be carried."""
    local: bool = False
    """Whether there is less of it where fewer messages cross nodes: topics are sharded before nodes are added."""
    optional: bool = False
    """Whether a cluster may be sized without a sample of it; a smaller one is never advised then."""
    guard: bool = False
    """Only forbids a smaller cluster; a larger one is no answer to it."""


class Tuning(Parameters):
    """A level of tuning of a node, and what it carries with it."""

    name: Text
    limits: Annotated[dict[SignalText, Rate], Field(min_length=1)]
    """Signal → what a node carries at this level."""
    memory: Annotated[Bytes, Field(gt=0)] | None = None
    """Least memory of a node for it."""
    restarts: bool = False
    """Whether its commands restart the service, which moves the clients of each node in turn."""
    commands: NodeCommands = ()
    """Run on each node in turn; absent = with the next deployment of its settings."""
    revert: NodeCommands = ()


class Larger(Parameters):
    """A larger kind of node, as an alternative to more of them."""

    name: Text
    limits: Annotated[dict[SignalText, Rate], Field(min_length=1)]
    price: PriceId | None = None


class Ladder(Parameters):
    """`ladder`: which of a few fixed sizes a cluster of equal nodes with its own quorum should have.

    Reads the signals of `loads`, `crossing` and `up`.
    """

    role: Text
    """Role of the nodes in the inventory; they are those of the cluster that the alert is about."""
    rungs: Annotated[tuple[Annotated[int, Strict(), Field(ge=1, le=99)], ...], Field(min_length=1)] = (1, 3, 5)
    """Sizes, odd ones: an even number of members survives no more losses than one less."""
    loads: Annotated[tuple[NodeLoad, ...], Field(min_length=1)]
    crossing: SignalText | None = None
    """Signal with the share of a cluster's messages that cross nodes."""
    crossing_limit: Fraction = 0.2
    """Above this share topics are sharded before nodes are added."""
    crossing_after: Fraction = 0.05
    """Share that crosses with sharding."""
    up: SignalText | None = None
    """Signal that is 0 for a node that doesn't answer."""
    tunings: tuple[Tuning, ...] = ()
    """Levels from the least on; a node is tuned before nodes are added where its memory allows."""
    larger: tuple[Larger, ...] = ()
    takeover_rate: Rate | None = None
    """Sessions of a lost node that the others take over in a second."""
    takeover_of: SignalText | None = None
    """The load whose units are taken over, such as connections."""
    stabilise_out: Duration = timedelta(minutes=5)
    """The smallest demand within this time counts upwards."""
    stabilise_in: Positive = timedelta(hours=2)
    """The largest demand within this time counts downwards."""
    tolerance: Annotated[float, Strict(), Field(ge=0, lt=1)] = 0.1
    """A smaller cluster has to carry the demand with this much to spare, so that it doesn't grow again at once."""
    cooldown_out: Duration = timedelta(hours=1)
    cooldown_in: Duration = timedelta(hours=12)
    """No change in this direction so long after an executed one of the cluster (at most a day is remembered)."""
    regional: tuple[Annotated[int, Strict(), Field(ge=1, le=99)], ...] = ()
    """Sizes of the clusters by region that take the place of one beyond the last rung; absent = the rungs above 1."""
    price: PriceId | None = None
    """Of one more node; absent = the price that most nodes have in the inventory."""
    time_to_effect: Duration = timedelta(hours=2)
    client: Text = "http://{node}:2379"
    peer: Text = "http://{node}:2380"
    """Addresses of a node's etcd for clients and for the other members; `{node}` is its name."""
    start_commands: NodeCommands = ()
    """Start the service on a new node, which etcd has been told about."""
    admit_commands: NodeCommands = ()
    """Let clients reach a new node, or one that was drained."""
    drain_commands: NodeCommands = ()
    """Send no more clients to a node."""
    stop_commands: NodeCommands = ()
    """Stop the service on a node; its sessions are taken over."""
    shard_commands: NodeCommands = ()
    """Route the clients of a group of topics to one node; run once, without `{node}`."""
    unshard_commands: NodeCommands = ()
    region_commands: NodeCommands = ()
    """Set up the clusters by region; run once, without `{node}`."""
    unregion_commands: NodeCommands = ()

    def reads(self) -> tuple[str, ...]:
        """See Parameters."""
        more = [signal for signal in (self.crossing, self.up) if signal]
        return tuple(dict.fromkeys([*(load.signal for load in self.loads), *more]))

    @model_validator(mode="after")
    def _possible(self) -> Self:
        for name, sizes in (("rungs", self.rungs), ("regional", self.regional)):
            even = next((size for size in sizes if size % 2 == 0), None)
            if even is not None:
                raise ValueError(f"{name}: {even} is even, and survives no more losses than {even - 1}; use odd sizes")
            if any(a >= b for a, b in pairwise(sizes)):
                raise ValueError(f"{name}: write the sizes in order, the smallest first and each once")
        signals = [load.signal for load in self.loads]
        if len(set(signals)) != len(signals):
            raise ValueError("loads: each signal once")
        levels = [(level.name, level.limits) for level in self.tunings]
        levels += [(kind.name, kind.limits) for kind in self.larger]
        for name, limits in levels:
            unknown = [signal for signal in limits if signal not in signals]
            if unknown:
                raise ValueError(f"{name}: {unknown[0]!r} is no signal of loads")
        if self.takeover_of is not None and self.takeover_of not in signals:
            raise ValueError(f"takeover_of: {self.takeover_of!r} is no signal of loads")
        for name, address in (("client", self.client), ("peer", self.peer)):
            if address.count("{node}") != 1:
                raise ValueError(f"{name}: write {{node}} where the name of the node goes: http://{{node}}:2379")
        return self
