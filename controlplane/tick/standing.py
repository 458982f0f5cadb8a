"""The recommendations that decisions depend on, among all that ever were."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec

from controlplane.eventlog.log import EventLog
from controlplane.eventlog.projections import RECOMMENDATIONS
from controlplane.model.events import Draft
from controlplane.model.recommendations import Recommendation, Status
from controlplane.tick.advise import REMEMBERED

_WATCHED = frozenset({Status.PROPOSED, Status.APPROVED, Status.EXECUTED})


class _Head(msgspec.Struct):
    """What is decoded of every recommendation: decoding a whole one takes twenty times as long."""

    status: Status
    alert: str
    decided_at: datetime | None = None


_HEAD = msgspec.json.Decoder(_Head)


@dataclass(frozen=True, slots=True)
class Standing:
    """Recommendations by id, in that order."""

    rows: dict[str, Recommendation]
    versions: Mapping[str, int]
    """Stream → its version; what is appended to it later isn't in `rows`, what was before is."""

    def expected(self, drafts: Collection[Draft]) -> dict[str, int]:
        """The versions of the streams that the drafts go on with."""
        named = {draft.stream for draft in drafts}
        return {stream: version for stream, version in self.versions.items() if stream in named}


def standing(log: EventLog, active: Collection[str], told: Collection[str], begin: datetime | None) -> Standing:
    """The recommendations that steps from `begin` on (None = there are none) may depend on.

    They may still change, their alert is among the `active` ones, somebody was `told` of them and not yet of their end,
    or they were done within REMEMBERED before `begin`.
    """
    documents = log.documents(RECOMMENDATIONS)
    ids = sorted(id_ for id_, _, document in documents if id_ in told or _matters(document, active, begin))
    # Versions first, rows after them: what changes in between fails the append and is decided anew.
    versions = log.versions([f"recommendation:{id_}" for id_ in ids])
    rows = log.some(RECOMMENDATIONS, ids)
    return Standing({id_: rows[id_] for id_ in ids if id_ in rows}, versions)


def _matters(document: str, active: Collection[str], begin: datetime | None) -> bool:
    try:
        head = _HEAD.decode(document)
    except msgspec.MsgspecError:
        return True  # reading it as a whole says what is wrong with it
    if head.status in _WATCHED or head.alert in active:
        return True
    if begin is None or head.decided_at is None or head.status is Status.REJECTED:
        return False
    return head.decided_at > begin - REMEMBERED
