"""A consumer group whose brokers are the limit: more brokers, or a better spread over those that are there."""

from controlplane.model.prices import PriceBook
from controlplane.model.recommendations import Proposal, Rejected
from controlplane.scaling.broker_advice import Told, answer
from controlplane.scaling.group import Group


def broker_bound(group: Group, prices: PriceBook) -> Proposal:
    """The answer of the method `brokers` for the brokers that hold the group back; its topics are moved alone.

    AdviceError where brokers or partitions aren't known.
    """
    group.brokers.require_complete()
    told = Told(
        do_nothing=group.do_nothing(),
        why=group.behind(),
        inputs=tuple(group.inputs().items()),
        evidence=group.evidence(),
        survives=(group.loss_of_consumer(group.active),),
        rejected=(
            Rejected(option="Add consumers", reason="they would ask more of brokers that are above their limit"),
            Rejected(option="Add partitions", reason="they would be served by the same brokers"),
        ),
        topics=tuple(group.topics["topic"].to_list()),
    )
    return answer(group.brokers, group.parameters.brokers(), prices, group.bootstrap, told)
